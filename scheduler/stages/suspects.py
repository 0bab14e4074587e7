"""What may have killed a worker: it is tried alone, and given up when its pair has killed a worker twice so.

Shared by ``rounds`` and ``batches``; decided without sockets, clocks or threads. A unit is *alone* with a worker when
the worker has nothing else: nothing in one batch with it, nothing decoded ahead, no result on its way. Only a death
while alone counts, and it counts against the pair: its other samples and passes are given up with it. What the device
was at when others were there too becomes suspect, and so does what was beside it for the second time: a unit may kill
while it is decoded or encoded, too. So every death brings one unit nearer to its end, and nothing kills for ever.

Who tries a suspect: a worker that has done something else in this life, if there is anything else to do. A worker is
given up after several deaths in a row without anything done in between (``workers.supervision``), and a few pairs
that kill are not to take it down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from scheduler.benchmark.units import EditUnit, ScoreUnit

DEATHS_ALONE = 2
"""So many deaths while alone, and a pair is given up."""

Unit = TypeVar("Unit", EditUnit, ScoreUnit)


@dataclass(frozen=True)
class Aftermath(Generic[Unit]):
    """What a death leaves: ``poisoned`` are given up, ``others`` are done again as if nothing had been."""

    poisoned: list[Unit]
    others: list[Unit]


class Suspects(Generic[Unit]):
    """The suspects that wait, in the order in which they are tried, and the deaths of all pairs."""

    def __init__(self) -> None:
        self._waiting: deque[Unit] = deque()
        self._beside: set[Unit] = set()
        self._deaths: dict[str, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def died(self, worker: str, held: Sequence[Unit], at: Collection[Unit]) -> Aftermath[Unit]:
        """The worker died with the units ``held``; its device was at ``at``. New suspects wait from now on, behind the
        others: what was not tried alone yet comes before what has killed.
        """
        if len(held) == 1:
            at = held
            self._deaths[held[0].key] = (*self.deaths(held[0]), worker)
        suspects = [unit for unit in held if unit in at or unit in self._beside]
        others = [unit for unit in held if unit not in suspects]
        self._beside.update(others)
        self._waiting.extend(suspects)
        poisoned = [unit for unit in self._waiting if self.is_poison(unit)]
        self._waiting = deque(unit for unit in self._waiting if unit not in poisoned)
        return Aftermath(poisoned, others)

    def deaths(self, unit: Unit) -> tuple[str, ...]:
        """The workers that died while they were alone with the unit's pair, a name for each death."""
        return self._deaths.get(unit.key, ())

    def is_poison(self, unit: Unit) -> bool:
        """Whether the unit's pair has killed often enough."""
        return len(self.deaths(unit)) >= DEATHS_ALONE

    def take(self) -> Unit:
        """The next one is tried."""
        return self._waiting.popleft()

    def put_back(self, units: Sequence[Unit]) -> None:
        """They could not be tried after all, and come first."""
        self._waiting.extendleft(reversed(units))

    def clear(self) -> None:
        """No more will be tried."""
        self._waiting.clear()

    def kept_free(self, loads: Mapping[str, int]) -> set[str]:
        """The workers that get nothing more before they have tried a suspect: one for each that waits, and those first
        that have least to do. ``loads`` are of the workers that may try one.
        """
        return set(sorted(loads, key=loads.__getitem__)[: len(self._waiting)])


def poison_message(workers: Sequence[str]) -> str:
    """The reason why a pair is given up, for the ledger and the reports."""
    return (
        f"its worker died {len(workers)} times while it had nothing but this pair ({', '.join(workers)}): "
        "the pair is given up. The worker's log says more"
    )
