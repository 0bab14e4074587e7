"""Edits that were made elsewhere: which image is whose. Decided from names alone, before any image is looked at."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scheduler.base.text import one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.units import EditUnit

NO_IMAGE = "no_image"
"""The kind of failure of a pair whose edit is not there."""

_FIRST = 5
"""So many are named in a warning."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image, called as it was found: ``where`` is the file or the line, for people. One with a ``problem`` is not to
    be used.
    """

    category: str
    pair_id: str
    sample: int
    path: str
    where: str
    problem: str | None = None


@dataclass(frozen=True)
class EditsElsewhere:
    """The images of a benchmark's pairs. ``place`` is the folder or list that they come from, ``asked`` is how many
    edits there should be. What may not be used has its reason in ``refused``; an edit in neither has no image.
    """

    place: str
    asked: int
    images: Mapping[EditUnit, str]
    refused: Mapping[EditUnit, str]
    warnings: tuple[str, ...]

    def image_path(self, unit: EditUnit) -> str:
        """Where the image of this edit is.

        Raises:
            KeyError: it has none.
        """
        return self.images[unit]


def match(
    place: str,
    found: Iterable[FoundImage],
    benchmark: Benchmark,
    samples_per_pair: int,
    *,
    written: Callable[[str], str] = str,
) -> EditsElsewhere:
    """Find each image's edit. ``written`` gives an id or category as it is written where the images were found.

    Accents may be composed otherwise than the benchmark's, as some file systems do it, where that leaves no doubt.

    Of several images for one edit the first one counts, of those that are named exactly so if there are any. An image
    that belongs to no pair of the benchmark is told, but for those that other programs hide beside images.
    """
    units = {
        (written(pair.category), written(pair.pair_id), sample): EditUnit(pair.category, pair.pair_id, sample)
        for pair in benchmark.pairs
        for sample in range(samples_per_pair)
    }
    alike = _without_doubt(units)
    known = {(written(item.category), written(item.pair_id)) for item in benchmark.items}
    known |= {_composed(key) for key in known}
    first: dict[EditUnit, FoundImage] = {}
    strangers: list[str] = []
    beyond: list[str] = []
    doubles: list[str] = []
    keys = [((image.category, image.pair_id), image) for image in found]
    for key, image in sorted(keys, key=lambda one: (*one[0], one[1].sample) not in units):
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
                ("belong to no pair that the benchmark has, or that was chosen", strangers),
                (f"are of samples beyond evaluation.samples_per_pair, which is {samples_per_pair}", beyond),
                ("are of edits that have one already, which is the one that is judged", doubles),
            )
            if names
        ),
    )


def _composed(key: tuple[str, str]) -> tuple[str, str]:
    return unicodedata.normalize("NFC", key[0]), unicodedata.normalize("NFC", key[1])


def _without_doubt(units: Mapping[tuple[str, str, int], EditUnit]) -> dict[tuple[str, str, int], EditUnit]:
    """The edits by their names with accents composed, less those that would then be called alike."""
    composed = [
        ((*_composed((category, pair_id)), sample), unit) for (category, pair_id, sample), unit in units.items()
    ]
    counts = Counter(key for key, _ in composed)
    return {key: unit for key, unit in composed if counts[key] == 1}


def _warning(what: str, names: Sequence[str]) -> str:
    named = ", ".join(one_line(name, 120) for name in names[:_FIRST])
    more = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
    return f"{len(names)} images {what}: {named}{more}"
