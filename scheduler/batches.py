"""Who scores what, in which batches. Decided without sockets, clocks or threads.

Units arrive as their edits are delivered. A reward that is free takes what there is; ahead of time it gets another
batch only if that is full, or if no more units will come. What a dead reward had is scored by others, first of all;
the units of a batch that failed as a whole, or at which a reward died, are tried one at a time, so that one cannot
spoil the others again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from scheduler.units import ScoreUnit


@dataclass(frozen=True)
class AssignBatch:
    """Send these units to the reward as one batch. ``attempts`` count from 1, in the order of ``units``."""

    reward: str
    batch: int
    units: tuple[ScoreUnit, ...]
    attempts: tuple[int, ...]


@dataclass(frozen=True)
class WithdrawBatch:
    """Take back a batch that the reward has not begun."""

    reward: str
    batch: int


@dataclass(frozen=True)
class GiveUpScore:
    """The unit has failed for good."""

    unit: ScoreUnit


BatchAction = AssignBatch | WithdrawBatch | GiveUpScore


@dataclass
class _Reward:
    batches: dict[int, tuple[ScoreUnit, ...]] = field(default_factory=dict)


class Batches:
    """All scores of a run."""

    _AHEAD = 2

    def __init__(self, *, batch_size: int, max_attempts: int = 3) -> None:
        self._batch_size = batch_size
        self._max_attempts = max_attempts
        self._queue: deque[ScoreUnit] = deque()
        self._alone: deque[ScoreUnit] = deque()
        self._rewards: dict[str, _Reward] = {}
        self._delivering: set[ScoreUnit] = set()
        self._closed = False
        self._draining = False
        self._next_batch = 0
        self._starts: dict[ScoreUnit, int] = {}
        self._errors: dict[ScoreUnit, int] = {}

    @property
    def batches(self) -> int:
        """How many batches were made so far."""
        return self._next_batch

    @property
    def finished(self) -> bool:
        """Whether nothing is left and nothing more will come."""
        waiting = self._queue or self._alone or self._delivering
        return self._closed and not waiting and not any(reward.batches for reward in self._rewards.values())

    @property
    def stranded(self) -> bool:
        """Whether units wait and there is nobody to score them."""
        return bool(self._queue or self._alone) and not self._rewards

    def available(self, unit: ScoreUnit) -> list[BatchAction]:
        """The unit's edit is delivered."""
        if not self._draining:
            self._queue.append(unit)
        return self._fill()

    def close(self) -> list[BatchAction]:
        """No more units will come."""
        self._closed = True
        return self._fill()

    def join(self, *names: str) -> list[BatchAction]:
        """Rewards are there. Those that come together share what waits; one alone would take its next batch too."""
        for name in names:
            self._rewards.setdefault(name, _Reward())
        return self._fill()

    def lose(self, name: str) -> list[BatchAction]:
        """A reward is gone."""
        reward = self._rewards.pop(name, None)
        if reward is not None and not self._draining:
            for place, units in reversed(list(enumerate(reward.batches.values()))):
                # What it was at may be what killed it, and who was to be tried alone still is.
                queue = self._alone if place == 0 or len(units) == 1 else self._queue
                queue.extendleft(reversed(units))
        return self._fill()

    def scored(self, name: str, batch: int) -> list[BatchAction]:
        """The batch's judgements arrived; each unit is told apart by ``delivered`` or ``unit_failed``."""
        reward = self._rewards.get(name)
        units = reward.batches.pop(batch, ()) if reward else ()
        self._delivering.update(units)
        return self._fill()

    def delivered(self, unit: ScoreUnit) -> list[BatchAction]:
        """The unit's row is in the ledger."""
        self._delivering.discard(unit)
        return []

    def unit_failed(self, unit: ScoreUnit, *, again: bool) -> list[BatchAction]:
        """The unit got no score in a batch that did work."""
        self._delivering.discard(unit)
        return self._retry(unit, again=again) + self._fill()

    def batch_failed(self, name: str, batch: int, *, again: bool) -> list[BatchAction]:
        """The whole batch failed."""
        reward = self._rewards.get(name)
        units = reward.batches.pop(batch, ()) if reward else ()
        # A failure of many says nothing of any one of them: only when alone does it count against a unit.
        if len(units) > 1:
            if not self._draining:
                self._alone.extend(units)
            return self._fill()
        return [action for unit in units for action in self._retry(unit, again=again)] + self._fill()

    def drain(self) -> list[BatchAction]:
        """Begin nothing more; what is on the devices is finished."""
        self._draining = self._closed = True
        self._queue.clear()
        self._alone.clear()
        actions: list[BatchAction] = []
        for name, reward in self._rewards.items():
            for batch in list(reward.batches)[1:]:
                del reward.batches[batch]
                actions.append(WithdrawBatch(name, batch))
        return actions

    def _retry(self, unit: ScoreUnit, *, again: bool) -> list[BatchAction]:
        self._errors[unit] = self._errors.get(unit, 0) + 1
        if not again or self._errors[unit] >= self._max_attempts:
            return [GiveUpScore(unit)]
        # While draining, what might have been tried anew is left undone, not given up.
        if not self._draining:
            self._alone.append(unit)
        return []

    def _fill(self) -> list[BatchAction]:
        actions: list[BatchAction] = []
        for level in range(self._AHEAD):
            for name, reward in self._rewards.items():
                while len(reward.batches) <= level:
                    units = self._next_units(ahead=level > 0)
                    if not units:
                        break
                    actions.append(self._assign(name, reward, units))
        return actions

    def _next_units(self, *, ahead: bool) -> tuple[ScoreUnit, ...]:
        if self._alone:
            return (self._alone.popleft(),)
        if ahead and len(self._queue) < self._batch_size and not self._closed:
            return ()
        size = min(self._batch_size, len(self._queue))
        return tuple(self._queue.popleft() for _ in range(size))

    def _assign(self, name: str, reward: _Reward, units: tuple[ScoreUnit, ...]) -> AssignBatch:
        number = self._next_batch
        self._next_batch += 1
        reward.batches[number] = units
        for unit in units:
            self._starts[unit] = self._starts.get(unit, 0) + 1
        return AssignBatch(name, number, units, tuple(self._starts[unit] for unit in units))
