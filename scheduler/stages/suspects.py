"""Finds the pairs that kill workers: a suspect is tried alone, and its pair is given up when it has killed twice alone.

``rounds`` and ``batches`` share this; there are no sockets, clocks or threads here. A unit is *alone* with a worker
that has nothing else: no other unit in its batch, none decoded ahead, no result on its way. Only a death while alone
counts. It counts against the pair, so its other samples and passes are given up as well. A unit becomes a suspect when
it was on the device of a worker that died, or beside such a unit for the second time: a unit may also kill while it is
decoded or encoded. So every death brings a unit nearer to its end, and no unit kills for ever.

A suspect of a worker that works on many units at once is first tried in *company*: with so many units at most, which
are fewer after each death.

A suspect is tried by a worker that has already done something in this life, unless nothing else is left to do. The
launcher gives up a worker after several deaths in a row with nothing done in between (``workers.supervision``), and a
few pairs that kill must not lead to that.

What failed on one worker, or killed it, is tried on another one: the reason may be a sick device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from scheduler.base.text import counted
from scheduler.benchmark.units import EditUnit, ScoreUnit

DEATHS_ALONE = 2
"""After this many deaths while alone, a pair is given up."""

Unit = TypeVar("Unit", EditUnit, ScoreUnit)


class Aftermath(Struct, Generic[Unit], frozen=True):
    """What becomes of a dead worker's units: ``poisoned`` are given up, ``others`` are done again."""

    poisoned: list[Unit]
    others: list[Unit]


class Tried(Generic[Unit]):
    """The workers on which each unit has failed."""

    def __init__(self) -> None:
        self._workers: dict[Unit, set[str]] = {}

    def note(self, unit: Unit, worker: str) -> None:
        """The unit failed on this worker, or killed it."""
        self._workers.setdefault(unit, set()).add(worker)

    def forget(self, unit: Unit) -> None:
        """The unit is over."""
        self._workers.pop(unit, None)

    def may_try(self, unit: Unit, worker: str, workers: Collection[str]) -> bool:
        """Return whether this one of the ``workers`` may try it: it has not, or all of them have."""
        failed = self._workers.get(unit)
        return not failed or worker not in failed or failed.issuperset(workers)

    def first(self, units: Iterable[Unit], worker: str, workers: Collection[str]) -> int | None:
        """Return the place of the first unit that this worker may try; None if there is none."""
        return next((place for place, unit in enumerate(units) if self.may_try(unit, worker, workers)), None)


class Suspects(Generic[Unit]):
    """The suspects that wait, in the order in which they are tried, and the deaths that count against pairs."""

    def __init__(self, tried: Tried[Unit]) -> None:
        self._tried: Tried[Unit] = tried
        self._waiting: deque[Unit] = deque()
        self._beside: set[Unit] = set()
        self._deaths: dict[str, tuple[str, ...]] = {}
        self._company: dict[Unit, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def died(
        self, worker: str, held: Sequence[Unit], at: Collection[Unit], reason: str | None = None, *, company: int = 1
    ) -> Aftermath[Unit]:
        """The worker died with the units ``held``, of which ``at`` were on its device. The new suspects go behind those
        that wait, so that what was not tried alone yet comes before what has killed. Each is tried in this ``company``.
        """
        if len(held) == 1:
            at = held
            self._deaths[held[0].key] = (*self.deaths(held[0]), f"{worker}: {reason}" if reason else worker)
        suspects = [unit for unit in held if unit in at or unit in self._beside]
        others = [unit for unit in held if unit not in suspects]
        for unit in suspects:
            self._tried.note(unit, worker)
            self.acquit(unit)
            if company > 1:
                self._company[unit] = company
        self._beside.update(others)
        self._waiting.extend(suspects)
        poisoned = [unit for unit in self._waiting if self.is_poison(unit)]
        self._waiting = deque(unit for unit in self._waiting if unit not in poisoned)
        return Aftermath(poisoned, others)

    def deaths(self, unit: Unit) -> tuple[str, ...]:
        """Return for each death alone with the unit's pair the worker, and of what it died if that is known."""
        return self._deaths.get(unit.key, ())

    def is_poison(self, unit: Unit) -> bool:
        """Return whether the unit's pair has killed often enough to be given up."""
        return len(self.deaths(unit)) >= DEATHS_ALONE

    def company(self, unit: Unit) -> int:
        """Return how many units a worker may have while it tries this suspect, itself included."""
        return self._company.get(unit, 1)

    def acquit(self, unit: Unit) -> None:
        """The unit was tried, and its worker lives."""
        self._company.pop(unit, None)

    def take(self, worker: str, workers: Collection[str], *, beside: int = 0) -> Unit | None:
        """Remove and return the next suspect that this one of the ``workers`` may try ``beside`` the units that it has;
        None if there is none.
        """
        for place, unit in enumerate(self._waiting):
            if self.company(unit) > beside and self._tried.may_try(unit, worker, workers):
                del self._waiting[place]
                return unit
        return None

    def put_back(self, units: Sequence[Unit]) -> None:
        """Put these in front: they were not tried after all."""
        self._waiting.extendleft(reversed(units))

    def clear(self) -> None:
        """Remove all suspects."""
        self._waiting.clear()
        self._company.clear()

    def kept_free(self, loads: Mapping[str, int], workers: Collection[str]) -> set[str]:
        """Return the workers to keep free for suspects: one for each that waits, the least loaded first.

        ``loads`` are the numbers of units or batches of those of the ``workers`` that are not busy with a suspect.
        """
        suited = [name for name in loads if self._tried.first(self._waiting, name, workers) is not None]
        return set(sorted(suited, key=loads.__getitem__)[: len(self._waiting)])


def poison_message(deaths: Sequence[str]) -> str:
    """Return why a pair is given up, for the ledger and the reports."""
    return (
        f"its worker died {counted(len(deaths), 'time')} while it had nothing but this pair ({', '.join(deaths)}): "
        "the pair is given up. The worker's log says more"
    )
