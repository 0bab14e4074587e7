"""What a format declares, what it gives for each item, and the table of formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scheduler.benchmark.pairs import ImageOpener, PairError
from workers.models.plugins import Registry


@dataclass(frozen=True, slots=True)
class Category:
    """The items that follow belong to this category. It may have no items, and may come again."""

    name: str | PairError


class Item(Protocol):
    """One item. Its values are read when they are needed, and checked then; each may raise ``PairError``."""

    @property
    def pair_id(self) -> str | None: ...

    @property
    def category(self) -> str | None:
        """Needed where no ``Category`` came before."""

    @property
    def instruction(self) -> str | None: ...

    @property
    def description(self) -> str | None: ...

    @property
    def reference(self) -> str | None: ...

    @property
    def image(self) -> ImageOpener: ...

    def check(self) -> None:
        """Raise ``PairError`` for what is wrong with the item as a whole."""


@dataclass(frozen=True)
class PlainItem:
    """An item whose values are known."""

    pair_id: str | None
    category: str | None
    instruction: str | None
    image: ImageOpener
    description: str | None = None
    reference: str | None = None

    def check(self) -> None:
        return None


@dataclass(frozen=True)
class Format:
    """A format of benchmarks.

    ``read`` gives the items in the data's order and keeps none of them. It raises ``DataError`` or ``OSError`` if the
    data as a whole cannot be read. ``detect`` tells whether a path is of this format; without it only
    ``benchmark.format`` chooses the format. ``packages`` are those that it needs, each with the oldest version that
    works, or ``""``.
    """

    name: str
    meaning: str
    read: Callable[[Path], Iterable[Category | Item]]
    detect: Callable[[Path], bool] | None = None
    aliases: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)


FORMATS = Registry(
    "warmbench.formats",
    Format,
    {
        "json": "scheduler.benchmark.formats.json_pairs:FORMAT",
        "risebench": "scheduler.benchmark.formats.risebench:FORMAT",
    },
)
