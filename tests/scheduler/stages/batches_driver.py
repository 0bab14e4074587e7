"""Drives ``Batches`` with rewards that score, fail, die and come back at any moment, and checks what must hold after
each event. The expectations follow from the actions, never from the inside of ``Batches``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial

from hypothesis import note
from hypothesis import strategies as st

from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.actions import AssignBatch, BatchAction, GiveUpScore, WithdrawBatch
from scheduler.stages.batches import Batches
from scheduler.stages.suspects import DEATHS_ALONE
from tests.adversary import Adversary

Held = dict[int, tuple[ScoreUnit, ...]]

SHAPES = st.tuples(st.integers(1, 4), st.just(1)) | st.tuples(st.just(1), st.integers(2, 12))
"""The batch size, and how many batches a reward works on at once: batches of several, or several batches of one."""


class BatchesDriver:
    """All rewards of a run and what became of its units."""

    def __init__(
        self,
        adversary: Adversary,
        *,
        units: int,
        batch_size: int,
        max_attempts: int,
        passes: int = 1,
        max_undelivered: int | None = None,
        slots: int = 1,
    ) -> None:
        self.adversary = adversary
        self.batches = Batches(
            batch_size=batch_size, slots=slots, max_attempts=max_attempts, max_undelivered=max_undelivered
        )
        self._max_undelivered = max_undelivered
        self._slots, self._most = slots, slots + max(1, slots // 4)
        self.rewards: dict[str, Held] = {}
        self.available: list[ScoreUnit] = []
        self.delivered: Counter[ScoreUnit] = Counter()
        self.given_up: Counter[ScoreUnit] = Counter()
        self.draining = False
        self._batch_size, self._max_attempts = batch_size, max_attempts
        self.units = [ScoreUnit(EditUnit("shapes", str(number // passes)), number % passes) for number in range(units)]
        self._to_come = list(self.units)
        self._closed = False
        self._delivering: list[ScoreUnit] = []
        self._waiting: set[ScoreUnit] = set()
        self._urgent: set[ScoreUnit] = set()
        self._singles: set[ScoreUnit] = set()
        self.suspects: set[ScoreUnit] = set()
        self.deaths: Counter[str] = Counter()
        self._trying: defaultdict[str, set[ScoreUnit]] = defaultdict(set)
        self._company: dict[ScoreUnit, int] = {}
        self.proven: set[str] = set()
        self._beside: set[ScoreUnit] = set()
        self._deaths: dict[str, tuple[str, ...]] = {}
        self._batches_made = 0
        self._starts: Counter[ScoreUnit] = Counter()
        self._errors: Counter[ScoreUnit] = Counter()
        self._tried: defaultdict[ScoreUnit, set[str]] = defaultdict(set)

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
        actions = self.batches.available(unit)
        if not self.draining:
            self.available.append(unit)
        if self._is_poison(unit):
            assert actions == [GiveUpScore(unit, self._deaths[unit.key])]
        elif not self.draining:
            self._waiting.add(unit)
        self._check(actions)

    def join(self, *names: str) -> None:
        note(f"join {' '.join(names)}")
        for name in names:
            self.rewards.setdefault(name, {})
        self._check(self.batches.join(*names))

    def lose(self, name: str, *, died: bool) -> None:
        note(f"lose {name} {died=}")
        batches = list(self.rewards.pop(name).values())
        units = {unit for batch in batches for unit in batch}
        suspects = self._suspects_of(name, batches) if died else self._trying[name]
        self.deaths[name] += died
        self._trying.pop(name, None)
        self.proven.discard(name)
        if not self.draining:
            self._waiting |= units
            self._urgent |= units - suspects
            self.suspects |= suspects
        poisoned = {unit for unit in self._waiting | suspects if died and self._is_poison(unit)}
        actions = self.batches.lose(name, died=died)
        given_up = {action.unit: action.deaths for action in actions if isinstance(action, GiveUpScore)}
        assert given_up == {unit: self._deaths[unit.key] for unit in poisoned}
        for waiting in (self._waiting, self._urgent, self.suspects):
            waiting.difference_update(poisoned)
        self._check(actions)

    def _suspects_of(self, name: str, batches: list[tuple[ScoreUnit, ...]]) -> set[ScoreUnit]:
        """The units that may have killed it. The death counts against the pair if the reward had nothing else."""
        units = [unit for batch in batches for unit in batch]
        if len(units) == 1:
            self._deaths[units[0].key] = (*self._deaths.get(units[0].key, ()), name)
            suspects = set(units)
        else:
            at_work = {unit for batch in batches[: self._slots] for unit in batch}
            suspects = {unit for unit in units if unit in self._beside or unit in at_work}
            self._beside.update(set(units) - suspects)
        for unit in suspects:
            self._tried[unit].add(name)
            self._company[unit] = max(1, min(len(batches), self._slots) // 4)
        return suspects

    def _is_poison(self, unit: ScoreUnit) -> bool:
        return len(self._deaths.get(unit.key, ())) >= DEATHS_ALONE

    def score(self, name: str, bad: int, place: int = 0) -> None:
        """A batch comes back; some units in it got no score, and some of these never will."""
        number = list(self.rewards[name])[place]
        units = self.rewards[name].pop(number)
        note(f"scored {name} {number}, without a score: {bad}")
        self._delivering += units
        self._trying[name].difference_update(units)
        self.proven.add(name)
        self._check(self.batches.scored(name, number))
        for unit in units[:bad]:
            self._delivering.remove(unit)
            self._fail(name, unit, partial(self.batches.unit_failed, name, unit))

    def deliver(self, unit: ScoreUnit) -> None:
        note(f"delivered {unit.job}")
        self._delivering.remove(unit)
        self.delivered[unit] += 1
        self._check(self.batches.delivered(unit))

    def fail(self, name: str, number: int, *, again: bool | None = None) -> None:
        units = self.rewards[name].pop(number)
        note(f"batch_failed {name} {number}")
        self._trying[name].difference_update(units)
        if len(units) == 1:
            self._fail(name, units[0], partial(self.batches.batch_failed, name, number), again)
            return
        if not self.draining:
            self._waiting.update(units)
            self._singles.update(units)
        self._check(self.batches.batch_failed(name, number, again=self.adversary.pick([True, False])))

    def _fail(
        self, name: str, unit: ScoreUnit, tell: Callable[..., list[BatchAction]], again: bool | None = None
    ) -> None:
        again = self.adversary.pick([True, True, False]) if again is None else again
        note(f"{unit.job} failed {again=}")
        self._errors[unit] += 1
        hopeless = not again or self._errors[unit] == self._max_attempts
        if not hopeless and not self.draining:
            self._waiting.add(unit)
            self._singles.add(unit)
            self._tried[unit].add(name)
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
        expected = [
            WithdrawBatch(name, number)
            for name, held in self.rewards.items()
            for number in list(held)[1:]
            if self._slots == 1
        ]
        assert actions == expected
        self.draining = self._closed = True
        self._waiting.clear()
        self._urgent.clear()
        self.suspects.clear()
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
        happenings += [partial(self.lose, name, died=died) for name in here for died in (True, False)]
        self.adversary.pick(happenings)()

    def progress(self) -> bool:
        """Something happens that is as it should be; False if there is nothing left to happen."""
        happenings = self.arrivals + self.answers
        if happenings:
            self.adversary.pick(happenings)()
        return bool(happenings)

    @property
    def answers(self) -> list[partial[None]]:
        """What a reward works on may come back, in any order."""
        return [
            partial(self.score, name, 0, place) for name in self.rewards for place, _ in enumerate(self.at_work(name))
        ]

    def at_work(self, name: str) -> list[tuple[ScoreUnit, ...]]:
        """The batches that the reward works on: it starts them in the order sent."""
        return list(self.rewards[name].values())[: self._slots]

    @property
    def arrivals(self) -> list[partial[None]]:
        """What may come from elsewhere: another edit, or the end of all edits; a row in the ledger."""
        arrivals = [partial(self.arrive)] if not self._closed or self._to_come else []
        return arrivals + [partial(self.deliver, unit) for unit in self._delivering]

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
        assert not self.full or not any(isinstance(action, AssignBatch) for action in actions)
        busy = any(self.rewards.values())
        assert batches.batches == self._batches_made
        assert batches.finished == (self._closed and not (self._waiting or self._delivering or busy))
        assert batches.stranded == (bool(self._waiting) and not self.rewards)
        if self.full:
            return
        not_full = 0
        for name, held in self.rewards.items():
            takes = {unit for unit in self._waiting - self.suspects if self._may_take(name, unit)}
            tries = {unit for unit in self.suspects if name in self.proven and self._may_take(name, unit)}
            assert held or not (takes or tries), "units wait, and a reward has nothing to do"
            enough = len(takes) >= (1 if self._closed else self._batch_size)
            not_full += enough and len(held) < self._room(name)
        assert not_full <= len(self.suspects), "ready, but not sent ahead"

    def _may_take(self, name: str, unit: ScoreUnit) -> bool:
        """What failed on one reward is tried on another, if there is one on which it has not failed."""
        return name not in self._tried[unit] or self._tried[unit] >= set(self.rewards)

    def _room(self, name: str) -> int:
        """How many batches it may have."""
        return min((self._most, *(self._company[unit] for unit in self._trying[name])))

    @property
    def full(self) -> bool:
        """Whether enough scores wait for the disk."""
        return self._max_undelivered is not None and len(self._delivering) >= self._max_undelivered

    @property
    def unforgettable(self) -> int:
        """How much has to be kept when all is done: who lives, and what died of what."""
        return len(self.rewards) + len(self._deaths) + len(self._beside)

    def _on_assign(self, action: AssignBatch) -> None:
        units, held = set(action.units), self.rewards[action.reward]
        assert action.batch == self._batches_made
        assert 1 <= len(action.units) <= self._batch_size
        assert len(units) == len(action.units)
        assert units <= self._waiting, "assigned although it is scored, given up, or with somebody else"
        assert all(self._may_take(action.reward, unit) for unit in units), "tried again where it has failed"
        tries = units & self.suspects
        if tries:
            proven = action.reward in self.proven
            assert proven or self._waiting == self.suspects, "who has done nothing yet does something else first"
            self.suspects -= units
            self._trying[action.reward] |= tries
        assert len(held) < self._room(action.reward), "nothing more beside a suspect than it may have"
        alone = bool(units & self._singles or tries)
        assert not alone or len(units) == 1, "what failed, or died, with others is done alone"
        urgent = {unit for unit in self._urgent if self._may_take(action.reward, unit)}
        assert alone or units & urgent or not urgent, "the units of lost rewards come first"
        if held and not tries:
            idle = [name for name, batches in self.rewards.items() if not batches]
            assert not any(self._may_take(name, unit) for name in idle for unit in units), (
                "every reward has a batch before one gets a batch ahead"
            )
            assert alone or self._closed or len(units) == self._batch_size, "ahead of time, only full batches"
        self._batches_made += 1
        self._waiting -= units
        self._urgent -= units
        for unit in units:
            self._starts[unit] += 1
        assert action.attempts == tuple(self._starts[unit] for unit in action.units)
        held[action.batch] = action.units
        assert len(held) <= self._most


def scores(count: int) -> list[ScoreUnit]:
    """As many units, each of a pair of its own."""
    return [ScoreUnit(EditUnit("shapes", str(number))) for number in range(count)]


def with_waiting(batches: Batches, units: list[ScoreUnit]) -> Batches:
    """These batches, with the units available."""
    for unit in units:
        assert batches.available(unit) == []
    return batches
