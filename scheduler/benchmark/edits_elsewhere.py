"""Edits that were made elsewhere: finds the pair of each image by its name, without looking at the image."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scheduler.base.text import counted, one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.units import EditUnit

NO_IMAGE = "no_image"
"""The kind of failure of a pair without an edit."""

_MAX_NAMED = 5
"""At most N images are named in a warning."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image with the name that it has there. ``where`` is its file or line, for messages. With a ``problem`` it is
    not used.
    """

    category: str
    pair_id: str
    sample: int
    path: str
    where: str
    problem: str | None = None


@dataclass(frozen=True)
class EditsElsewhere:
    """The images of a benchmark's pairs. ``place`` is their folder or list, ``asked`` the number of edits that the run
    needs. ``refused`` has the reason why an image cannot be used; an edit in neither mapping has no image.
    """

    place: str
    asked: int
    images: Mapping[EditUnit, str]
    refused: Mapping[EditUnit, str]
    warnings: tuple[str, ...]


def match(
    place: str,
    found: Iterable[FoundImage],
    benchmark: Benchmark,
    samples_per_pair: int,
    *,
    written: Callable[[str], str] = str,
) -> EditsElsewhere:
    """Find the edit of each image. ``written`` converts an id or category to its form in the images' names.

    Accents may be composed differently, as on some file systems, if that is unambiguous. If an edit has several images,
    the first one counts; an exact name comes before another composition. Images that belong to no pair are warned
    about, except hidden files.
    """
    units = {
        (written(pair.category), written(pair.pair_id), sample): EditUnit(pair.category, pair.pair_id, sample)
        for pair in benchmark.pairs
        for sample in range(samples_per_pair)
    }
    alike = _unambiguous(units)
    known = {(written(item.category), written(item.pair_id)) for item in benchmark.items}
    known |= {_composed(key) for key in known}
    first: dict[EditUnit, FoundImage] = {}
    strangers: list[str] = []
    beyond: list[str] = []
    doubles: list[str] = []
    keys = [((image.category, image.pair_id), image) for image in found]
    for key, image in sorted(keys, key=lambda entry: (*entry[0], entry[1].sample) not in units):
        unit = units.get((*key, image.sample)) or alike.get((*_composed(key), image.sample))
        if unit is None:
            hidden = image.category.startswith(".") or image.pair_id.startswith(".")
            if _composed(key) not in known:
                strangers += [] if hidden else [image.where]
            elif image.sample >= samples_per_pair:
                beyond.append(image.where)
        elif unit in first:
            doubles.append(f"{image.where} (beside {first[unit].where})")
        else:
            first[unit] = image
    return EditsElsewhere(
        place=place,
        asked=len(units),
        images={unit: image.path for unit, image in first.items() if image.problem is None},
        refused={unit: image.problem for unit, image in first.items() if image.problem is not None},
        warnings=tuple(
            _warning(count_of, names)
            for count_of, names in (
                ("of no pair that the benchmark has, or that was chosen", strangers),
                (f"of samples beyond evaluation.samples_per_pair, which is {samples_per_pair}", beyond),
                ("beside another of the same edit, which is the one that is judged", doubles),
            )
            if names
        ),
    )


def _composed(key: tuple[str, str]) -> tuple[str, str]:
    return unicodedata.normalize("NFC", key[0]), unicodedata.normalize("NFC", key[1])


def _unambiguous(units: Mapping[tuple[str, str, int], EditUnit]) -> dict[tuple[str, str, int], EditUnit]:
    """Return the edits by their names with composed accents, without those whose names become equal."""
    composed = [
        ((*_composed((category, pair_id)), sample), unit) for (category, pair_id, sample), unit in units.items()
    ]
    counts = Counter(key for key, _ in composed)
    return {key: unit for key, unit in composed if counts[key] == 1}


def _warning(what: str, names: Sequence[str]) -> str:
    named = ", ".join(one_line(name, 120) for name in names[:_MAX_NAMED])
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{counted(len(names), 'image')} {what}: {named}{more}"
