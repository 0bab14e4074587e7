"""What an edit costs, learned from the edits that were made: pairs of similar cost then share a round, dear ones first.

With barriers a round lasts as long as its slowest pair, so unlike pairs in one round have devices wait. Running free,
a dear pair at the very end has all others wait. The order of the work changes neither which pairs are done nor what
comes out.

What is learned is a line, seconds over megapixels of the source image, for each set of what decides the time: the
editor, its parameters, the kind of device. It is kept for the user's later runs. A pipeline that makes the same number
of pixels of every source has a flat line; its pairs stay in the benchmark's order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from protocol.pool import locked
from scheduler.base.files import write_atomically
from scheduler.benchmark.units import EditUnit, Units

_ENOUGH = 12
"""So many edits tell whether the size matters."""

_MEMORY = 4096
"""Of so many edits, and of twice as many half, and so on."""

_MATTERS = 0.1
"""From which part of the mean time on a difference in size (of one standard deviation) is worth an order of its own."""

_MOST_KEYS = 500
_MAX_FILE_BYTES = 1 << 20


_Number = Annotated[int, Meta(ge=0, le=10**12)]
_Sum = Annotated[float, Meta(ge=0.0, le=1e15)]


class CostLine(Struct, forbid_unknown_fields=True):
    """Sums over edits, of x = megapixels of the source and y = device seconds: all that a straight line takes.

    Of scores, and of anything else that has no size, x is 0. ``runs`` that have added to it.
    """

    count: _Number = 0
    x: _Sum = 0.0
    y: _Sum = 0.0
    xx: _Sum = 0.0
    xy: _Sum = 0.0
    runs: _Number = 0

    def note(self, megapixels: float, seconds: float) -> None:
        """An edit of a source of this size took so long. What was long ago counts less and less."""
        self._fade()
        self.count += 1
        self.x += megapixels
        self.y += seconds
        self.xx += megapixels * megapixels
        self.xy += megapixels * seconds

    def note_many(self, count: int, seconds: float) -> None:
        """So many, of no size, took so long together."""
        self._fade()
        self.count += count
        self.y += seconds

    def _fade(self) -> None:
        if self.count >= _MEMORY:
            self.count //= 2
            self.x, self.y, self.xx, self.xy = self.x / 2, self.y / 2, self.xx / 2, self.xy / 2

    @property
    def mean(self) -> float | None:
        """Seconds an edit took on average; None if there was none."""
        return self.y / self.count if self.count else None

    @property
    def spread(self) -> float:
        """The standard deviation of the sizes, in megapixels."""
        return math.sqrt(max(0.0, self.xx / self.count - (self.x / self.count) ** 2)) if self.count else 0.0

    @property
    def slope(self) -> float:
        """Seconds more for a megapixel more; 0 if all sources had one size."""
        spread = self.spread
        if spread <= 1e-6:
            return 0.0
        return (self.xy / self.count - self.x * self.y / self.count**2) / spread**2

    def expected(self, megapixels: float) -> float | None:
        """Seconds that an edit of a source of this size is expected to take; None if nothing is known."""
        if self.mean is None:
            return None
        return max(0.0, self.mean + self.slope * (megapixels - self.x / self.count))

    def size_matters(self) -> bool:
        """Whether dear pairs can be told by their size. As long as little is known, larger is taken to be dearer."""
        if self.count < _ENOUGH or self.spread <= 1e-6:
            return True
        return self.slope * self.spread > _MATTERS * (self.mean or 0.0)


class Reordered:
    """Edits in another order."""

    def __init__(self, units: Units, places: Sequence[int]) -> None:
        self._units = units
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int, /) -> EditUnit:
        return self._units[self._places[place]]

    def __iter__(self) -> Iterator[EditUnit]:
        return (self._units[place] for place in self._places)


def by_cost(units: Units, pixels_of: Callable[[EditUnit], int], line: CostLine) -> Units:
    """The dearest first, equal ones as they were; as they are if their sizes do not tell."""
    pixels = array("Q", (pixels_of(unit) for unit in units))
    if not line.size_matters() or len(set(pixels)) <= 1:
        return units
    return Reordered(units, array("Q", sorted(range(len(pixels)), key=lambda place: -pixels[place])))


class KnownCosts:
    """What earlier runs of this user have learned: a JSON file. One that can't be read or written is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def line(self, what: Mapping[str, Any]) -> CostLine:
        """What is known of edits that are made so."""
        return self._read().get(_key(what), CostLine())

    def keep(self, what: Mapping[str, Any], line: CostLine) -> None:
        """Keep what is known by now, for at most so many sets; those that were used longest ago are dropped."""
        with contextlib.suppress(OSError), locked(self._path.with_suffix(".lock")):
            known = self._read()
            known.pop(_key(what), None)
            line.runs += 1
            known[_key(what)] = line
            kept = dict(list(known.items())[-_MOST_KEYS:])
            write_atomically(self._path, msgspec.json.encode(kept))

    def _read(self) -> dict[str, CostLine]:
        with contextlib.suppress(OSError, UnicodeDecodeError, msgspec.MsgspecError), self._path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_FILE_BYTES), type=dict[str, CostLine])
        return {}


def _key(what: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:32]
