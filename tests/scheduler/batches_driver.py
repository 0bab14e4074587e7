"""Drives ``Batches`` as rewards do that score, fail, die and come back at any moment, and checks all that must hold in
between. What is expected comes from what rewards were told, never from the inside of ``Batches``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from hypothesis import note

from scheduler.batches import AssignBatch, BatchAction, Batches, GiveUpScore, WithdrawBatch
from scheduler.units import EditUnit, ScoreUnit
from tests.adversary import Adversary

Held = dict[int, tuple[ScoreUnit, ...]]


class BatchesDriver:
    """All rewards of a run and what became of its units."""

    def __init__(self, adversary: Adversary, *, units: int, batch_size: int, max_attempts: int) -> None:
        self.adversary = adversary
        self.batches = Batches(batch_size=batch_size, max_attempts=max_attempts)
        self.rewards: dict[str, Held] = {}
        self.available: list[ScoreUnit] = []
        self.delivered: Counter[ScoreUnit] = Counter()
        self.given_up: Counter[ScoreUnit] = Counter()
        self.draining = False
        self._batch_size, self._max_attempts = batch_size, max_attempts
        self._to_come = [ScoreUnit(EditUnit("shapes", str(number))) for number in range(units)]
        self._closed = False
        self._delivering: list[ScoreUnit] = []
        self._waiting: set[ScoreUnit] = set()
        self._urgent: set[ScoreUnit] = set()
        self._alone: set[ScoreUnit] = set()
        self._batches_made = 0
        self._starts: Counter[ScoreUnit] = Counter()
        self._errors: Counter[ScoreUnit] = Counter()

    # -- events

    def arrive(self) -> None:
        """The edit of the next unit is delivered, or no more will come."""
        if not self._to_come:
            note("close")
            self._closed = True
            self._check(self.batches.close())
            return
        unit = self._to_come.pop(0)
        note(f"available {unit.job}")
        if not self.draining:
            self.available.append(unit)
            self._waiting.add(unit)
        self._check(self.batches.available(unit))

    def join(self, *names: str) -> None:
        note(f"join {' '.join(names)}")
        for name in names:
            self.rewards.setdefault(name, {})
        self._check(self.batches.join(*names))

    def lose(self, name: str) -> None:
        note(f"lose {name}")
        for place, units in enumerate(self.rewards.pop(name).values()):
            if not self.draining:
                self._waiting.update(units)
                self._urgent.update(units)
                self._alone.update(units if place == 0 else ())
        self._check(self.batches.lose(name))

    def score(self, name: str, bad: int) -> None:
        """The reward's first batch comes back; some units in it got no score, and some of these never will."""
        number = next(iter(self.rewards[name]))
        units = self.rewards[name].pop(number)
        note(f"scored {name} {number}, without a score: {bad}")
        self._delivering += units
        self._check(self.batches.scored(name, number))
        for unit in units[:bad]:
            self._delivering.remove(unit)
            self._fail(unit, partial(self.batches.unit_failed, unit))

    def deliver(self, unit: ScoreUnit) -> None:
        note(f"delivered {unit.job}")
        self._delivering.remove(unit)
        self.delivered[unit] += 1
        self._check(self.batches.delivered(unit))

    def fail(self, name: str, number: int) -> None:
        units = self.rewards[name].pop(number)
        note(f"batch_failed {name} {number}")
        if len(units) == 1:
            self._fail(units[0], partial(self.batches.batch_failed, name, number))
            return
        if not self.draining:
            self._waiting.update(units)
            self._alone.update(units)
        self._check(self.batches.batch_failed(name, number, again=self.adversary.pick([True, False])))

    def _fail(self, unit: ScoreUnit, tell: Callable[..., list[BatchAction]]) -> None:
        again = self.adversary.pick([True, True, False])
        note(f"{unit.job} failed {again=}")
        self._errors[unit] += 1
        hopeless = not again or self._errors[unit] == self._max_attempts
        if not hopeless and not self.draining:
            self._waiting.add(unit)
            self._alone.add(unit)
        actions = tell(again=again)
        assert (GiveUpScore(unit) in actions) == hopeless
        self._check(actions)

    def say_what_is_not_so(self, name: str, number: int) -> None:
        """A late or repeated answer about a batch that this reward does not have."""
        if number in self.rewards.get(name, {}):
            return
        note(f"stale {name} {number}")
        assert self.batches.scored(name, number) == []
        assert self.batches.batch_failed(name, number, again=False) == []
        self._check([])

    def drain(self) -> None:
        note("drain")
        actions = self.batches.drain()
        expected = [WithdrawBatch(name, number) for name, held in self.rewards.items() for number in list(held)[1:]]
        assert actions == expected
        self.draining = self._closed = True
        self._waiting.clear()
        self._urgent.clear()
        self._check(actions)

    # -- what may come next

    def trouble(self) -> None:
        """Something happens that is not as it should be, or somebody comes."""
        here, away = sorted(self.rewards), sorted(set("abc") - set(self.rewards))
        number = self.adversary.pick(range(max(1, self._batches_made)))
        happenings: list[Callable[[], None]] = [
            partial(self.say_what_is_not_so, self.adversary.pick("abc"), number),
            partial(self.join, *self.adversary.pick([away, away[:1], here])),
        ]
        happenings += [partial(self.fail, name, number) for name in here for number in self.rewards[name]]
        happenings += [partial(self.score, name, self.adversary.pick([1, 2, 3])) for name in here if self.rewards[name]]
        happenings += [partial(self.lose, name) for name in here]
        self.adversary.pick(happenings)()

    def progress(self) -> bool:
        """Something happens that is as it should be; False if there is nothing left to happen."""
        happenings: list[Callable[[], None]] = [self.arrive] if not self._closed or self._to_come else []
        happenings += [partial(self.score, name, 0) for name, held in self.rewards.items() if held]
        happenings += [partial(self.deliver, unit) for unit in self._delivering]
        if happenings:
            self.adversary.pick(happenings)()
        return bool(happenings)

    # -- what must hold

    def _check(self, actions: list[BatchAction]) -> None:
        for action in actions:
            note(action)
            match action:
                case AssignBatch():
                    self._on_assign(action)
                case WithdrawBatch(name, number):
                    del self.rewards[name][number]
                case GiveUpScore(unit):
                    self.given_up[unit] += 1
        batches = self.batches
        busy = any(self.rewards.values())
        assert batches.batches == self._batches_made
        assert batches.finished == (self._closed and not (self._waiting or self._delivering or busy))
        assert batches.stranded == (bool(self._waiting) and not self.rewards)
        assert not self._waiting or all(self.rewards.values()), "units wait, and a reward has nothing to do"
        enough = len(self._waiting) >= (1 if self._closed else self._batch_size)
        assert not enough or all(len(held) == 2 for held in self.rewards.values()), "ready, but not sent ahead"

    def _on_assign(self, action: AssignBatch) -> None:
        units, held = set(action.units), self.rewards[action.reward]
        assert action.batch == self._batches_made
        assert 1 <= len(action.units) <= self._batch_size
        assert len(units) == len(action.units)
        assert units <= self._waiting, "assigned although it is scored, given up, or with somebody else"
        alone = bool(units & self._alone)
        assert not alone or len(units) == 1, "what failed, or died, with others is done alone"
        assert alone or units & self._urgent or not self._urgent, "what dead rewards had comes first"
        if held:
            assert all(self.rewards.values()), "everybody has something to do before anybody gets something ahead"
            assert alone or self._closed or len(units) == self._batch_size, "ahead of time, only full batches"
        self._batches_made += 1
        self._waiting -= units
        self._urgent -= units
        for unit in units:
            self._starts[unit] += 1
        assert action.attempts == tuple(self._starts[unit] for unit in action.units)
        held[action.batch] = action.units
        assert len(held) <= 2
