"""The pieces of work of a run: one edit of a pair, one judgement of such an edit, and the edits that wait.

A run of many pairs keeps nothing of a unit that has not begun: it is made when its turn comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol


class EditUnit(NamedTuple):
    """One edit: ``sample`` counts the seeds of a pair from 0."""

    category: str
    pair_id: str
    sample: int = 0

    @property
    def key(self) -> str:
        """The pair's key."""
        return f"{self.category}/{self.pair_id}"

    @property
    def job(self) -> str:
        """The unit's part of a job's name."""
        return f"{self.key}/{self.sample}"


class ScoreUnit(NamedTuple):
    """One judgement: ``pass_`` counts the judgements of one edit from 0."""

    edit: EditUnit
    pass_: int = 0

    @property
    def key(self) -> str:
        """The pair's key."""
        return self.edit.key

    @property
    def job(self) -> str:
        """The unit's part of an item's name."""
        return f"{self.edit.job}/{self.pass_}"


class Named(Protocol):
    """What a pair is called."""

    @property
    def category(self) -> str: ...

    @property
    def pair_id(self) -> str: ...


class Pairs(Protocol):
    """Pairs in their order."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Named: ...


class Units(Protocol):
    """Edits in their order; a list will do."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> EditUnit: ...

    def __iter__(self) -> Iterator[EditUnit]: ...


class AllEdits:
    """All edits of these pairs: every sample of the first, then of the next. Each is made when it is asked for."""

    def __init__(self, pairs: Pairs, samples: int = 1) -> None:
        self._pairs = pairs
        self._samples = samples

    def __len__(self) -> int:
        return len(self._pairs) * self._samples

    def __getitem__(self, place: int, /) -> EditUnit:
        number, sample = divmod(place, self._samples)
        pair = self._pairs[number]
        return EditUnit(pair.category, pair.pair_id, sample)

    def __iter__(self) -> Iterator[EditUnit]:
        return (self[place] for place in range(len(self)))


class Backlog:
    """The edits that wait for an editor. Kept are those alone that come back: in front of all others, or behind."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._next = 0
        self._left_out: set[int] = set()
        self._first: deque[EditUnit] = deque()
        self._last: deque[EditUnit] = deque()

    def __len__(self) -> int:
        fresh = len(self._units) - self._next - len(self._left_out)
        return len(self._first) + fresh + len(self._last)

    def take(self) -> EditUnit:
        """The next one.

        Raises:
            IndexError: none waits.
        """
        if self._first:
            return self._first.popleft()
        while self._next < len(self._units):
            place = self._next
            self._next += 1
            if place not in self._left_out:
                return self._units[place]
            self._left_out.discard(place)
        return self._last.popleft()

    def put_first(self, units: Iterable[EditUnit]) -> None:
        """They are done before all others, in this order."""
        self._first.extendleft(reversed(list(units)))

    def put_last(self, unit: EditUnit) -> None:
        """It is done when all others have had their turn."""
        self._last.append(unit)

    def remove(self, condition: Callable[[EditUnit], bool]) -> list[EditUnit]:
        """Take out all for which the condition holds, and return them in their order."""
        before = [unit for unit in self._first if condition(unit)]
        places = [
            place
            for place in range(self._next, len(self._units))
            if place not in self._left_out and condition(self._units[place])
        ]
        behind = [unit for unit in self._last if condition(unit)]
        self._first = deque(unit for unit in self._first if unit not in before)
        self._left_out.update(places)
        self._last = deque(unit for unit in self._last if unit not in behind)
        return [*before, *(self._units[place] for place in places), *behind]

    def clear(self) -> None:
        """None of them is to be done."""
        self._next = len(self._units)
        for kept in (self._left_out, self._first, self._last):
            kept.clear()
