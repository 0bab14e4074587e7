"""The edits that wait for an editor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from scheduler.benchmark.units import EditUnit, Units


class Backlog:
    """A queue over ``units``. Only edits that come back are stored: in front of all others, or behind."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._next = 0
        self._left_out: set[int] = set()
        self._first: deque[EditUnit] = deque()
        self._last: deque[EditUnit] = deque()

    def __len__(self) -> int:
        fresh = len(self._units) - self._next - len(self._left_out)
        return len(self._first) + fresh + len(self._last)

    def take(self, first: Callable[[Iterable[EditUnit]], int | None]) -> EditUnit | None:
        """Remove and return the next edit; None if none is suitable.

        ``first`` returns the place of the first suitable one of the edits that come back, or None. All others are.
        """
        if (unit := _take_from(self._first, first)) is not None:
            return unit
        while self._next < len(self._units):
            place = self._next
            self._next += 1
            if place not in self._left_out:
                return self._units[place]
            self._left_out.discard(place)
        return _take_from(self._last, first)

    def put_first(self, units: Iterable[EditUnit]) -> None:
        """Put these in front of all others, in this order."""
        self._first.extendleft(reversed(list(units)))

    def put_last(self, unit: EditUnit) -> None:
        """Put it behind all others."""
        self._last.append(unit)

    def remove(self, condition: Callable[[EditUnit], bool]) -> list[EditUnit]:
        """Remove all for which the condition holds, and return them in their order."""
        first = [unit for unit in self._first if condition(unit)]
        places = [
            place
            for place in range(self._next, len(self._units))
            if place not in self._left_out and condition(self._units[place])
        ]
        last = [unit for unit in self._last if condition(unit)]
        self._first = deque(unit for unit in self._first if unit not in first)
        self._left_out.update(places)
        self._last = deque(unit for unit in self._last if unit not in last)
        return [*first, *(self._units[place] for place in places), *last]

    def clear(self) -> None:
        """Remove all."""
        self._next = len(self._units)
        for kept in (self._left_out, self._first, self._last):
            kept.clear()


def _take_from(waiting: deque[EditUnit], first: Callable[[Iterable[EditUnit]], int | None]) -> EditUnit | None:
    place = first(waiting)
    if place is None:
        return None
    unit = waiting[place]
    del waiting[place]
    return unit
