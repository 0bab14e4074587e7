"""What a format declares, what it gives for each item, and the table of formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from scheduler.benchmark.pairs import ImageOpener, PairError
from workers.models.plugins import Registry


class Category(Struct, frozen=True):
    """The items that follow belong to this category. It may have no items, and may come again."""

    name: str | PairError


Value = str | PairError | None
"""A text, why it cannot be used, or None where there is none."""


class Item(Struct, frozen=True):
    """One item. ``category`` is needed where no ``Category`` came before; ``problem`` is one of the item as a whole.

    ``instruction`` may be one text for each language: then the language that the config asks for is chosen, or the
    first. ``image`` is the first source. ``images``, ``language``, ``task``, ``subsets`` and ``facts`` are those of
    ``Details``; the images are opened only if the item is selected.
    """

    pair_id: Value
    category: Value
    instruction: Value | Mapping[str, Value]
    image: ImageOpener
    description: Value = None
    reference: Value = None
    problem: PairError | None = None
    images: Mapping[str, ImageOpener] = {}
    language: str | None = None
    task: Value = None
    subsets: tuple[str, ...] = ()
    facts: Mapping[str, Any] = {}


class FieldMap(Struct, frozen=True):
    """The names of the fields of data in a general format; None: the usual ones. See ``benchmark.fields``."""

    id: str | None = None
    category: str | None = None
    instruction: str | None = None
    image: str | None = None
    sources: tuple[str, ...] = ()
    reference_image: str | None = None
    ground_truth: str | None = None
    mask: str | None = None
    description: str | None = None
    reference: str | None = None
    task: str | None = None
    facts: tuple[str, ...] = ()


class Format(Struct, frozen=True):
    """A format of benchmarks.

    ``read`` gives the items in the data's order and keeps none of them. It raises ``DataError`` or ``OSError`` if the
    data as a whole cannot be read. ``detect`` tells whether a path is of this format; without it only
    ``benchmark.format`` chooses the format. ``packages`` are those that it needs, each with the oldest version that
    works, or ``""``. ``languages`` and ``subsets`` are those that a config may ask for: then items of
    another language, or outside of the subset, are not selected.

    A general format has ``read_fields``, which does what ``read`` does with ``fields``, a ``FieldMap``; its ``detect``
    counts only where no other format recognizes the path.
    """

    name: str
    meaning: str
    read: Callable[[Path], Iterable[Category | Item]]
    detect: Callable[[Path], bool] | None = None
    aliases: tuple[str, ...] = ()
    packages: Mapping[str, str] = {}
    languages: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    read_fields: Callable[..., Iterable[Category | Item]] | None = None


FORMATS = Registry(
    "warmbench.formats",
    Format,
    {
        "json": "scheduler.benchmark.formats.json_pairs:FORMAT",
        **{
            name: f"scheduler.benchmark.formats.{name}:FORMAT"
            for name in ("risebench", "risebench_v2", "gedit", "imgedit", "imgedit_uge", "kris", "unicbench")
        },
        **{name: f"scheduler.benchmark.formats.{name}:FORMAT" for name in ("jsonl", "imagefolder", "parquet", "arrow")},
    },
)
