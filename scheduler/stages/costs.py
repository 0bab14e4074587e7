"""What an edit costs, learned from earlier edits, so that the most expensive come first and similar ones share a round.

A round lasts as long as its slowest pair, so devices wait if its pairs are unlike. Free running, all devices wait for
an expensive pair at the very end. The order changes neither which pairs are done nor their results.

The cost is a line, seconds over megapixels of the source image, for each combination of what decides the time: editor,
parameters, kind of device. It is stored for the user's later runs. A pipeline that makes the same number of pixels from
every source has a flat line; its pairs stay in the benchmark's order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from protocol.pool import locked
from scheduler.base.files import write_atomically
from scheduler.benchmark.units import EditUnit, Units

_MIN_EDITS = 12
"""From this number of edits on, the line says whether the size matters."""

_HALVE_AT = 4096
"""At this number of edits all sums are halved, so that new edits keep counting."""

_MIN_EFFECT = 0.1
"""The size matters if one standard deviation of it changes the time by more than this part of the mean."""

_MAX_KEYS = 500
_MAX_FILE_BYTES = 1 << 20


_Number = Annotated[int, Meta(ge=0, le=10**12)]
_Sum = Annotated[float, Meta(ge=0.0, le=1e15)]


class CostLine(Struct, forbid_unknown_fields=True):
    """A least-squares line, as sums over edits of x = megapixels of the source and y = device seconds.

    For scores and whatever else has no size, x is 0. ``runs`` is the number of runs that contributed.
    """

    count: _Number = 0
    x: _Sum = 0.0
    y: _Sum = 0.0
    xx: _Sum = 0.0
    xy: _Sum = 0.0
    runs: _Number = 0

    def note(self, megapixels: float, seconds: float, count: int = 1) -> None:
        """Add an edit of a source of this size, or ``count`` items without a size. Old ones count less and less."""
        if self.count >= _HALVE_AT:
            self.count //= 2
            self.x, self.y, self.xx, self.xy = self.x / 2, self.y / 2, self.xx / 2, self.xy / 2
        self.count += count
        self.x += megapixels
        self.y += seconds
        self.xx += megapixels * megapixels
        self.xy += megapixels * seconds

    @property
    def mean(self) -> float | None:
        """Seconds per edit on average; None without edits."""
        return self.y / self.count if self.count else None

    @property
    def spread(self) -> float:
        """The standard deviation of the sizes, in megapixels."""
        return math.sqrt(max(0.0, self.xx / self.count - (self.x / self.count) ** 2)) if self.count else 0.0

    @property
    def slope(self) -> float:
        """Seconds per megapixel; 0 if all sources had the same size."""
        spread = self.spread
        if spread <= 1e-6:
            return 0.0
        return (self.xy / self.count - self.x * self.y / self.count**2) / spread**2

    def expected(self, megapixels: float) -> float | None:
        """Return the expected seconds of an edit of a source of this size; None without edits."""
        if self.mean is None:
            return None
        return max(0.0, self.mean + self.slope * (megapixels - self.x / self.count))

    def size_matters(self) -> bool:
        """Return whether the size tells which pairs are expensive. Until enough is known, larger ones are."""
        if self.count < _MIN_EDITS or self.spread <= 1e-6:
            return True
        return self.slope * self.spread > _MIN_EFFECT * (self.mean or 0.0)


class Reordered(Units):
    """Edits in another order."""

    def __init__(self, units: Units, places: Sequence[int]) -> None:
        self._units = units
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> EditUnit:  # type: ignore[override] # nobody takes slices
        return self._units[self._places[place]]


def by_cost(units: Units, pixels_of: Callable[[EditUnit], int], line: CostLine) -> Units:
    """Return the units with the most expensive first, in a stable order; unchanged if the size does not matter."""
    pixels = array("Q", (pixels_of(unit) for unit in units))
    if not line.size_matters() or len(set(pixels)) <= 1:
        return units
    return Reordered(units, array("Q", sorted(range(len(pixels)), key=lambda place: -pixels[place])))


class KnownCosts:
    """The lines of this user's earlier runs, in a JSON file. One that cannot be read or written is ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def line(self, work: Mapping[str, Any]) -> CostLine:
        """Return the line of this kind of work."""
        return self._read().get(_key(work), CostLine())

    def store(self, work: Mapping[str, Any], line: CostLine) -> None:
        """Store the line of this kind of work; beyond a limit, the lines stored longest ago are dropped."""
        with contextlib.suppress(OSError), locked(self._path.with_suffix(".lock")):
            lines = self._read()
            lines.pop(_key(work), None)
            line.runs += 1
            lines[_key(work)] = line
            newest = dict(list(lines.items())[-_MAX_KEYS:])
            write_atomically(self._path, msgspec.json.encode(newest))

    def _read(self) -> dict[str, CostLine]:
        with contextlib.suppress(OSError, UnicodeDecodeError, msgspec.MsgspecError), self._path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_FILE_BYTES), type=dict[str, CostLine])
        return {}


def _key(work: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).hexdigest()[:32]
