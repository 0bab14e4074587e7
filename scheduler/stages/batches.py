"""Decides which reward scores what, in which batches.

Every method is an event and returns the actions that follow; there are no sockets, clocks or threads here.

Units arrive as their edits are delivered. A free reward takes what waits; a batch ahead of time is assigned only if it
is full, or if no more units will come. The units of a lost reward go to the front of the queue. Those of a batch that
failed as a whole are tried one at a time, so that a bad one does not fail the others again. What a dead reward worked
on is tried alone (see ``suspects``) by a reward that has nothing else and gets nothing more until it is scored. What
failed on one reward is tried on another. While ``max_undelivered`` scores wait to be written, no batch is assigned.

A reward that *streams* works on ``slots`` batches at once, and its batches are of one unit. Their results come in any
order. When it dies, each of its units may have been the reason, and to try so many alone would take long: what it had
is tried again in smaller company, a quarter of what it had at a time, until a unit is alone.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.actions import AssignBatch, BatchAction, GiveUpScore, WithdrawBatch
from scheduler.stages.suspects import Suspects, Tried

MAX_UNDELIVERED_SCORES = 1024
"""Enough scores that wait to be written to keep a disk busy."""

_COMPANY_SHARE = 4
"""After each death of a reward that streams, its units are tried with at most this fraction of the company."""
_AHEAD_SHARE = 4
"""A reward that streams has so many units ahead: this fraction of its slots, and at least one."""


class _Reward(Struct):
    """``done``: batches that its device is done with, results not received; ``suspects``: those that it tries;
    ``proven``: it has scored something in this life.
    """

    batches: dict[int, tuple[ScoreUnit, ...]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    suspects: set[ScoreUnit] = field(default_factory=set)
    proven: bool = False

    @property
    def unfinished(self) -> list[int]:
        """The batches that its device is not done with, in the order sent, in which it starts them."""
        return [number for number in self.batches if number not in self.done]


class Batches:
    """All scores of a run."""

    def __init__(
        self,
        *,
        batch_size: int,
        slots: int = 1,
        max_attempts: int = 3,
        max_undelivered: int | None = None,
        max_requests: int | None = None,
    ) -> None:
        """``slots`` is the number of batches that a reward works on at once. ``max_undelivered`` is a number of scores,
        and ``max_requests`` how many a server may be asked; None is no limit.
        """
        self._batch_size = batch_size
        self.slots = slots
        self._most = slots + max(1, slots // _AHEAD_SHARE)
        self._max_attempts = max_attempts
        self._max_undelivered = max_undelivered
        self._max_requests = max_requests
        # All edits of a run may wait here: to save memory, an edit stands for its first pass without a question.
        self._queue: deque[EditUnit | ScoreUnit] = deque()
        self._singles: deque[ScoreUnit] = deque()
        self._failed: set[ScoreUnit] = set()
        self._tried: Tried[ScoreUnit] = Tried()
        self._suspects = Suspects(self._tried)
        self._rewards: dict[str, _Reward] = {}
        self._delivering: set[ScoreUnit] = set()
        self._closed = False
        self._draining = False
        self.batches = 0
        """The number of batches so far."""
        self.requests = 0
        """The number of requests that a server was asked so far. A unit that was lost with its reward counts as one."""
        self._held, self._dearest = 0, 1
        self._starts: dict[ScoreUnit, int] = {}
        self._errors: dict[ScoreUnit, int] = {}

    @property
    def finished(self) -> bool:
        """Whether all units are done and no more will come."""
        return self._closed and self.idle

    @property
    def idle(self) -> bool:
        """Whether no unit waits, is with a reward, or is being written."""
        return not (self._waiting or self._delivering or any(reward.batches for reward in self._rewards.values()))

    @property
    def stranded(self) -> bool:
        """Whether units wait and there is no reward."""
        return self._waiting and not self._rewards

    @property
    def exhausted(self) -> bool:
        """Whether units wait that would be more than ``max_requests``, and nothing else is left to do."""
        return self._waiting and not self._held and self._spent

    def available(self, unit: ScoreUnit) -> list[BatchAction]:
        """The unit's edit is delivered."""
        if self._suspects.is_poison(unit):
            return [GiveUpScore(unit, self._suspects.deaths(unit))]
        if not self._draining:
            self._queue.append(unit.edit if unit == ScoreUnit(unit.edit) else unit)
        return self._fill()

    def close(self) -> list[BatchAction]:
        """No more units will come."""
        self._closed = True
        return self._fill()

    def join(self, *names: str) -> list[BatchAction]:
        """Rewards are ready. Those of one call share what waits; a single one would get its next batch as well."""
        for name in names:
            self._rewards.setdefault(name, _Reward())
        return self._fill()

    def lose(self, name: str, *, died: bool, reason: str | None = None) -> list[BatchAction]:
        """A reward is lost. With ``died`` (of ``reason``, if known), the batch that it worked on may be the cause."""
        reward = self._rewards.pop(name, None)
        if reward is None:
            return []
        again = [unit for units in reward.batches.values() for unit in units]
        self._held -= len(again)
        self.requests += sum(len(reward.batches[number]) for number in reward.unfinished[: self.slots])
        poisoned: list[ScoreUnit] = []
        if died:
            at_work = reward.unfinished[: self.slots]
            at = {unit for number in at_work for unit in reward.batches[number]}
            aftermath = self._suspects.died(name, again, at, reason, company=len(at_work) // _COMPANY_SHARE)
            again, poisoned = aftermath.others, aftermath.poisoned
        else:
            self._suspects.put_back([unit for unit in again if unit in reward.suspects])
            again = [unit for unit in again if unit not in reward.suspects]
        if self._draining:
            self._suspects.clear()
        else:
            for unit in reversed(again):
                (self._singles if unit in self._failed else self._queue).appendleft(unit)
        return self._give_up(poisoned) + self._fill()

    def device_done(self, name: str, batch: int) -> None:
        """The reward's device is done with the batch, and starts the next one."""
        reward = self._rewards.get(name)
        if reward is not None and batch in reward.batches:
            reward.done.add(batch)
            reward.proven = True

    def scored(self, name: str, batch: int, *, requests: int = 0) -> list[BatchAction]:
        """The batch's judgements came, for so many requests; ``delivered`` or ``unit_failed`` follows for each unit."""
        units = self._take(name, batch)
        self.requests += requests if units else 0
        self._dearest = max(self._dearest, -(-requests // len(units)) if units else 0)
        self._delivering.update(units)
        if units:
            self._rewards[name].proven = True
        return self._fill()

    def delivered(self, unit: ScoreUnit) -> list[BatchAction]:
        """The unit's row is in the ledger."""
        was_full = self._full
        self._delivering.discard(unit)
        self._forget(unit)
        return self._fill() if was_full else []

    def unit_failed(self, name: str, unit: ScoreUnit, *, again: bool) -> list[BatchAction]:
        """The unit got no score in a batch of this reward that worked."""
        self._delivering.discard(unit)
        return self._retry(name, unit, again=again) + self._fill()

    def batch_failed(self, name: str, batch: int, *, again: bool) -> list[BatchAction]:
        """The whole batch failed."""
        units = self._take(name, batch)
        # The failure of several says nothing about any single unit: it counts only for a unit alone.
        if len(units) > 1:
            self._failed.update(units)
            if not self._draining:
                self._singles.extend(units)
            return self._fill()
        return [action for unit in units for action in self._retry(name, unit, again=again)] + self._fill()

    def drain(self) -> list[BatchAction]:
        """Start nothing more; what is on the devices is finished, and what a reward that streams has."""
        self._draining = self._closed = True
        self._queue.clear()
        self._singles.clear()
        self._suspects.clear()
        actions: list[BatchAction] = []
        for name, reward in self._rewards.items():
            # One that streams may have started any of its units by now, and each may cost something.
            for batch in reward.unfinished[1:] if self.slots == 1 else ():
                self._held -= len(reward.batches.pop(batch))
                actions.append(WithdrawBatch(name, batch))
        return actions

    # -- inside

    @property
    def _waiting(self) -> bool:
        return bool(self._queue or self._singles or self._suspects)

    def _take(self, name: str, batch: int) -> tuple[ScoreUnit, ...]:
        reward = self._rewards.get(name)
        if reward is None or batch not in reward.batches:
            return ()
        reward.done.discard(batch)
        units = reward.batches.pop(batch)
        self._held -= len(units)
        for unit in reward.suspects.intersection(units):
            reward.suspects.discard(unit)
            self._suspects.acquit(unit)
        return units

    def _give_up(self, poisoned: list[ScoreUnit]) -> list[BatchAction]:
        if not poisoned:
            return []
        queued = (_unit(entry) for entry in self._queue if self._is_poison(entry))
        given_up = [*poisoned, *(unit for unit in self._singles if self._is_poison(unit)), *queued]
        self._singles = deque(unit for unit in self._singles if not self._is_poison(unit))
        self._queue = deque(entry for entry in self._queue if not self._is_poison(entry))
        for unit in given_up:
            self._forget(unit)
        return [GiveUpScore(unit, self._suspects.deaths(unit)) for unit in given_up]

    @property
    def _full(self) -> bool:
        """Whether too many scores wait to be written."""
        return self._max_undelivered is not None and len(self._delivering) >= self._max_undelivered

    @property
    def _spent(self) -> bool:
        """Whether the requests that were made and those that are under way are all that may be made. A unit under way
        counts as the most that one has taken so far: requests are made again, and there may be several for a unit.
        """
        return self._max_requests is not None and self.requests + self._held * self._dearest >= self._max_requests

    def _is_poison(self, entry: EditUnit | ScoreUnit) -> bool:
        return self._suspects.is_poison(_unit(entry))

    def _forget(self, unit: ScoreUnit) -> None:
        """Drop the counts of a unit that is over: a run of many pairs must not keep them for each."""
        self._starts.pop(unit, None)
        self._errors.pop(unit, None)
        self._failed.discard(unit)
        self._tried.forget(unit)

    def _retry(self, name: str, unit: ScoreUnit, *, again: bool) -> list[BatchAction]:
        self._errors[unit] = self._errors.get(unit, 0) + 1
        if not again or self._errors[unit] >= self._max_attempts:
            self._forget(unit)
            return [GiveUpScore(unit)]
        # While draining, what could be retried is left undone, not given up.
        self._failed.add(unit)
        if not self._draining:
            self._singles.append(unit)
            self._tried.note(unit, name)
        return []

    def _fill(self) -> list[BatchAction]:
        """Give every reward a batch before any gets one ahead."""
        if self._full or not self._waiting:
            return []
        actions: list[BatchAction] = []
        fewest = min((len(reward.batches) for reward in self._rewards.values()), default=self._most)
        for level in range(fewest, self._most):
            for name, reward in self._rewards.items():
                units = () if self._spent else self._next_for(name, reward, level)
                if units:
                    actions.append(self._assign(name, reward, units))
        return actions

    def _next_for(self, name: str, reward: _Reward, level: int) -> tuple[ScoreUnit, ...]:
        held = len(reward.batches)
        if held >= self._room(reward):
            return ()
        if self._suspects and self._may_try(reward):
            suspect = self._suspects.take(name, self._rewards, beside=held)
            if suspect is not None:
                reward.suspects.add(suspect)
                return (suspect,)
        if held > level or name in self._kept_free():
            return ()
        return self._next_units(name, ahead=level >= self.slots)

    def _room(self, reward: _Reward) -> int:
        """How many batches it may have."""
        return min((self._most, *map(self._suspects.company, reward.suspects)))

    def _next_units(self, name: str, *, ahead: bool) -> tuple[ScoreUnit, ...]:
        single = self._tried.first(self._singles, name, self._rewards)
        if single is not None:
            unit = self._singles[single]
            del self._singles[single]
            return (unit,)
        if ahead and len(self._queue) < self._batch_size and not self._closed:
            return ()
        size = min(self._batch_size, len(self._queue))
        return tuple(_unit(self._queue.popleft()) for _ in range(size))

    def _may_try(self, reward: _Reward) -> bool:
        return reward.proven or not (self._queue or self._singles)

    def _kept_free(self) -> set[str]:
        if not self._suspects:
            return set()
        rewards = self._rewards.items()
        return self._suspects.kept_free(
            {name: len(reward.batches) for name, reward in rewards if self._may_try(reward) and not self._busy(reward)},
            self._rewards,
        )

    def _busy(self, reward: _Reward) -> bool:
        """Whether it tries suspects, and may have nothing more beside them."""
        return bool(reward.suspects) and len(reward.batches) >= self._room(reward)

    def _assign(self, name: str, reward: _Reward, units: tuple[ScoreUnit, ...]) -> AssignBatch:
        number = self.batches
        self.batches += 1
        reward.batches[number] = units
        self._held += len(units)
        for unit in units:
            self._starts[unit] = self._starts.get(unit, 0) + 1
        return AssignBatch(name, number, units, tuple(self._starts[unit] for unit in units))


def _unit(entry: EditUnit | ScoreUnit) -> ScoreUnit:
    return entry if isinstance(entry, ScoreUnit) else ScoreUnit(entry)
