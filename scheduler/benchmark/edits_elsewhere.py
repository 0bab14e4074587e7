"""Edits that were made elsewhere: finds the pair of each image by its names, without looking at the image."""

from __future__ import annotations

import contextlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from scheduler.base.text import counted, one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.layouts import Names, PlacedPair, UnsuitablePairError
from scheduler.benchmark.units import EditUnit

NO_IMAGE = "no_image"
"""The kind of failure of a pair without an edit."""

_MAX_NAMED = 5
"""At most N images are named in a warning."""


class ImagesError(Exception):
    """The images as a whole cannot be used; ``problems`` has one line for each reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class FoundImage(Struct, frozen=True):
    """An image with the names that it has there. ``where`` is its file or line, for messages. With a ``problem`` it is
    not used.
    """

    names: Names
    sample: int
    path: str
    where: str
    problem: str | None = None


class EditsElsewhere(Struct, frozen=True):
    """The images of a benchmark's pairs. ``place`` is their folder or list, ``asked`` the number of edits that the run
    needs. ``refused`` has the reason why an image cannot be used; an edit in neither mapping has no image. ``layout``
    is the name of the folder's, ``missing`` the path in it at which an edit without an image is looked for.
    """

    place: str
    asked: int
    images: Mapping[EditUnit, str]
    refused: Mapping[EditUnit, str]
    warnings: tuple[str, ...]
    layout: str | None = None
    missing: Mapping[EditUnit, str] = {}

    @property
    def title(self) -> str:
        """The place, with its layout if that is another than of a run's own images."""
        return self.place if self.layout in (None, "plain") else f"{self.place} (layout {self.layout})"


class Places:
    """Where the images of a benchmark's pairs lie. Pairs are given by category and id."""

    def __init__(self, benchmark: Benchmark, names_of: Callable[[PlacedPair], Names]) -> None:
        """``names_of`` gives the names of a pair's images. Raises ``UnsuitablePairError``, which names the pair."""
        self.pairs = len(benchmark.pairs)
        self.exact: defaultdict[Names, list[tuple[str, str]]] = defaultdict(list)
        self._composed: defaultdict[Names, list[tuple[str, str]]] = defaultdict(list)
        self._bad: set[Names] = set()
        for pair in benchmark.pairs:
            try:
                names = names_of(PlacedPair.of(pair))
            except UnsuitablePairError as error:
                raise UnsuitablePairError(f"{pair.key}: {error}") from error
            self.exact[names].append((pair.category, pair.pair_id))
            self._composed[composed(names)].append((pair.category, pair.pair_id))
        for bad in benchmark.bad:
            with contextlib.suppress(UnsuitablePairError):
                self._bad.add(composed(names_of(PlacedPair(bad.category, bad.pair_id))))

    def find(self, names: Names) -> Sequence[tuple[str, str]]:
        """Return the pairs that have this place."""
        return self.exact.get(names) or self._composed.get(composed(names)) or ()

    def is_bad(self, names: Names) -> bool:
        """Whether this is the place of a bad pair."""
        return composed(names) in self._bad


def match(place: str, found: Iterable[FoundImage], places: Places, samples_per_pair: int) -> EditsElsewhere:
    """Find the edit of each image.

    Accents may be composed differently, as on some file systems, if that is unambiguous. If an edit has several images,
    the first one counts; an exact name comes before another composition. An image that has the place of several pairs
    counts for none. Images that belong to no pair are warned about, except hidden files.
    """
    first: dict[EditUnit, FoundImage] = {}
    refused: dict[EditUnit, str] = {}
    strangers: list[str] = []
    beyond: list[str] = []
    doubles: list[str] = []
    for image in sorted(found, key=lambda image: image.names not in places.exact):
        units = [EditUnit(*key, image.sample) for key in places.find(image.names)]
        free = [unit for unit in units if unit not in first]
        if not units:
            hidden = any(name.startswith(".") for name in image.names)
            strangers += [] if hidden or places.is_bad(image.names) else [image.where]
        elif image.sample >= samples_per_pair:
            beyond.append(image.where)
        elif not free:
            doubles.append(f"{image.where} (beside {first[units[0]].where})")
        elif len(units) > 1:
            reason = f"{image.where} has the place of several pairs: {_listed([unit.key for unit in units])}"
            refused |= dict.fromkeys(free, reason)
        else:
            first[free[0]] = image
    refused |= {unit: image.problem for unit, image in first.items() if image.problem is not None}
    return EditsElsewhere(
        place=place,
        asked=places.pairs * samples_per_pair,
        images={unit: image.path for unit, image in first.items() if image.problem is None},
        refused=refused,
        warnings=tuple(
            f"{counted(len(names), 'image')} {what}: {_listed(names)}"
            for what, names in (
                ("of no pair that the benchmark has, or that was chosen", strangers),
                (f"of samples beyond evaluation.samples_per_pair, which is {samples_per_pair}", beyond),
                ("beside another of the same edit, which is the one that is judged", doubles),
            )
            if names
        ),
    )


def composed(names: Names) -> Names:
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def _listed(names: Sequence[str]) -> str:
    named = ", ".join(one_line(name, 120) for name in names[:_MAX_NAMED])
    return f"{named} and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else named
