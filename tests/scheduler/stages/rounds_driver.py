"""Drives ``Rounds`` with editors that finish, fail, answer late, die and come back at any moment, and checks what must
hold after each event. The expectations follow from the actions, never from the inside of ``Rounds``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import note

from scheduler.benchmark.units import EditUnit
from scheduler.stages.actions import AssignEdit, GiveUpEdit, ReleaseRound, RoundAction, Synced, WithdrawEdit
from scheduler.stages.rounds import Rounds
from scheduler.stages.suspects import DEATHS_ALONE
from tests.adversary import Adversary


@dataclass
class Editor:
    """One life of an editor. ``given``: the units that its device is not done with, and their rounds; ``released``: its
    last released round; ``alone``: it has a suspect; ``proven``: it has done a unit."""

    given: dict[EditUnit, int | None] = field(default_factory=dict)
    at_barrier: list[EditUnit] = field(default_factory=list)
    released: int = -1
    alone: bool = False
    proven: bool = False

    @property
    def units(self) -> list[EditUnit]:
        return [*self.at_barrier, *self.given]

    def startable(self) -> EditUnit | None:
        """What the device is at: the first unit that may start."""
        return next((unit for unit, number in self.given.items() if number is None or number <= self.released), None)

    def has(self, number: int | None) -> int:
        return sum(given == number for given in self.given.values())


class RoundsDriver:
    """All editors of a run and what became of its units."""

    def __init__(
        self,
        adversary: Adversary,
        *,
        units: int,
        synchronized: bool,
        round_size: int,
        max_attempts: int,
        samples: int = 1,
        max_undelivered: int | None = None,
    ) -> None:
        self.units = [EditUnit("shapes", str(number // samples), number % samples) for number in range(units)]
        self.editors: dict[str, Editor] = {}
        self.delivered: Counter[EditUnit] = Counter()
        self.given_up: Counter[EditUnit] = Counter()
        self.opened: list[int] = []
        self.synced: list[int] = []
        self.deaths: Counter[str] = Counter()
        self.draining = False
        self.rounds = Rounds(
            self.units,
            synchronized=synchronized,
            round_size=round_size,
            max_attempts=max_attempts,
            max_undelivered=max_undelivered,
        )
        self.adversary = adversary
        self._synchronized, self._round_size, self._max_attempts = synchronized, round_size, max_attempts
        self._max_undelivered = max_undelivered
        self.undelivered: list[EditUnit] = []
        self._waiting = set(self.units)
        self._urgent: set[EditUnit] = set()
        self.suspects: set[EditUnit] = set()
        self._beside: set[EditUnit] = set()
        self._deaths: dict[str, tuple[str, ...]] = {}
        self._starts: Counter[EditUnit] = Counter()
        self._errors: Counter[EditUnit] = Counter()
        self._tried: defaultdict[EditUnit, set[str]] = defaultdict(set)

    # -- events

    def join(self, *names: str) -> None:
        known = set(self.editors)
        note(f"join {' '.join(names)}")
        for name in names:
            self.editors.setdefault(name, Editor())
        actions = self.rounds.join(*names)
        self._check(actions)
        assert actions == [] or not known.issuperset(names), "joining twice changes nothing"

    def lose(self, name: str, *, died: bool) -> None:
        note(f"lose {name} {died=}")
        gone = self.editors.pop(name)
        self.deaths[name] += died
        suspects = self._suspects_of(name, gone) if died else set(gone.units if gone.alone else ())
        if not self.draining:
            self._waiting.update(gone.units)
            self._urgent.update(set(gone.units) - suspects)
            self.suspects |= suspects
        poisoned = {
            unit for unit in (self._waiting | suspects) if died and len(self._deaths.get(unit.key, ())) >= DEATHS_ALONE
        }
        actions = self.rounds.lose(name, died=died)
        given_up = [action for action in actions if isinstance(action, GiveUpEdit)]
        assert {action.unit for action in given_up} == poisoned
        assert all(action.deaths == self._deaths[action.unit.key] for action in given_up)
        self._waiting -= poisoned
        self._urgent -= poisoned
        self.suspects -= poisoned
        self._check(actions)

    def _suspects_of(self, name: str, gone: Editor) -> set[EditUnit]:
        """The units that may have killed it. The death counts against the pair if the editor had nothing else."""
        if len(gone.units) == 1:
            key = gone.units[0].key
            self._deaths[key] = (*self._deaths.get(key, ()), name)
            suspects = set(gone.units)
        else:
            suspects = {unit for unit in gone.units if unit in self._beside or unit == gone.startable()}
            self._beside.update(set(gone.units) - suspects)
        for unit in suspects:
            self._tried[unit].add(name)
        return suspects

    def say_at_barrier(self, name: str) -> None:
        unit = self.editors[name].startable()
        assert unit is not None
        note(f"at_barrier {name} {unit.pair_id}")
        del self.editors[name].given[unit]
        self.editors[name].at_barrier.append(unit)
        self.editors[name].proven = True
        self._check(self.rounds.at_barrier(name, unit))

    def receive(self, name: str, unit: EditUnit) -> None:
        note(f"received {name} {unit.pair_id}")
        self._take(name, unit)
        self.undelivered.append(unit)
        self._check(self.rounds.received(name, unit))

    def deliver(self, unit: EditUnit) -> None:
        note(f"delivered {unit.pair_id}")
        self.undelivered.remove(unit)
        self.delivered[unit] += 1
        self._check(self.rounds.delivered(unit))

    def fail(self, name: str, unit: EditUnit, *, again: bool) -> None:
        note(f"failed {name} {unit.pair_id} {again=}")
        self._take(name, unit)
        self._errors[unit] += 1
        hopeless = not again or self._errors[unit] == self._max_attempts
        if not hopeless and not self.draining:
            self._waiting.add(unit)
            self._tried[unit].add(name)
        actions = self.rounds.failed(name, unit, again=again)
        assert (GiveUpEdit(unit) in actions) == hopeless
        self._check(actions)

    def say_what_is_not_so(self, name: str, unit: EditUnit) -> None:
        """A late or repeated message about a unit that this editor does not have."""
        editor = self.editors.get(name, Editor())
        if unit in editor.units:
            return
        note(f"stale {name} {unit.pair_id}")
        assert self.rounds.at_barrier(name, unit) == []
        assert self.rounds.received(name, unit) == []
        assert self.rounds.failed(name, unit, again=False) == []
        assert unit in self.undelivered or self.rounds.delivered(unit) == []
        self._check([])

    def drain(self) -> None:
        note("drain")
        started = {name: editor.startable() for name, editor in self.editors.items()}
        expected = {
            (name, unit) for name, editor in self.editors.items() for unit in editor.given if unit != started[name]
        }
        actions = self.rounds.drain()
        assert {(a.editor, a.unit) for a in actions if isinstance(a, WithdrawEdit)} == expected
        self.draining = True
        self._waiting.clear()
        self._urgent.clear()
        self.suspects.clear()
        self._check(actions)

    # -- what may come next

    def trouble(self) -> None:
        """Something happens that is not as it should be, or somebody comes."""
        here, away = sorted(self.editors), sorted(set("abcd") - set(self.editors))
        held = [(name, unit) for name in here for unit in self.editors[name].units]
        happenings: list[Callable[[], None]] = [
            partial(self.say_what_is_not_so, self.adversary.pick("abcd"), self.adversary.pick(self.units))
        ]
        happenings += [partial(self.join, *away[:2]), partial(self.join, *away[:1])] if away else []
        happenings += [partial(self.fail, name, unit, again=again) for name, unit in held for again in (True, False)]
        # An editor may also turn out to be alive, or join twice.
        happenings += [partial(self.lose, name, died=died) for name in here for died in (True, False)]
        happenings += [partial(self.join, name) for name in here]
        self.adversary.pick(happenings)()

    def progress(self) -> bool:
        """Something happens that is as it should be; False if there is nothing left to happen."""
        happenings: list[Callable[[], None]] = []
        for name, editor in self.editors.items():
            if editor.startable() is not None:
                happenings.append(partial(self.say_at_barrier, name))
            happenings += [partial(self.receive, name, unit) for unit in editor.at_barrier]
        happenings += [partial(self.deliver, unit) for unit in self.undelivered]
        if happenings:
            self.adversary.pick(happenings)()
        return bool(happenings)

    # -- what must hold

    @property
    def outstanding(self) -> list[EditUnit]:
        """All that living editors have, and what is not on disk yet."""
        return [unit for editor in self.editors.values() for unit in editor.units] + self.undelivered

    @property
    def unforgettable(self) -> int:
        """How much has to be kept when all is done: who lives, and what died of what."""
        return len(self.editors) + len(self._deaths) + len(self._beside)

    def may_take(self, name: str, unit: EditUnit) -> bool:
        """What failed on one editor is tried on another, if there is one on which it has not failed."""
        return name not in self._tried[unit] or self._tried[unit] >= set(self.editors)

    @property
    def choosy(self) -> bool:
        """Whether a unit waits that not every editor may take."""
        return any(not self.may_take(name, unit) for unit in self._waiting for name in self.editors)

    @property
    def full(self) -> bool:
        """Whether enough images wait for the disk."""
        return self._max_undelivered is not None and len(self.undelivered) >= self._max_undelivered

    def _take(self, name: str, unit: EditUnit) -> None:
        editor = self.editors[name]
        if unit in editor.given:
            del editor.given[unit]
        else:
            editor.at_barrier.remove(unit)
        editor.alone = False

    def _check(self, actions: list[RoundAction]) -> None:
        released: dict[str, int] = {}
        for action in actions:
            note(action)
            match action:
                case AssignEdit():
                    self._on_assign(action)
                case ReleaseRound(name, number):
                    assert self.editors[name].released < number, "a round is released to an editor once, and in order"
                    self.editors[name].released = released[name] = number
                case Synced(number):
                    assert self.synced == self.opened[:-1], "synced in order, each round once"
                    assert number == self.opened[-1]
                    self._check_all_are_done_with(number)
                    self.synced.append(number)
                case WithdrawEdit(name, unit):
                    del self.editors[name].given[unit]
                case GiveUpEdit(unit):
                    self.given_up[unit] += 1
        if released:
            self._on_opened(released)
        self._check_state()

    def _on_assign(self, action: AssignEdit) -> None:
        unit, editor, number = action.unit, self.editors[action.editor], action.round
        assert not self.full, "no more is made than the disk can take"
        assert unit in self._waiting, "assigned although it is done, given up, or with somebody else"
        assert self.may_take(action.editor, unit), "tried again where it has failed"
        if unit in self.suspects:
            assert not editor.units, "a suspect is tried alone"
            assert editor.proven or self._waiting == self.suspects, "who has done nothing yet does something else first"
            self.suspects.discard(unit)
            editor.alone = True
        else:
            assert not editor.alone, "nothing more beside a suspect"
            urgent = [other for other in self._urgent if self.may_take(action.editor, other)]
            assert unit in urgent or not urgent, "the units of lost editors come first"
        self._waiting.discard(unit)
        self._urgent.discard(unit)
        self._starts[unit] += 1
        assert action.attempt == self._starts[unit]
        assert (number is not None) == self._synchronized
        assert number is None or number > self.rounds.round or number == self.rounds.round not in self.opened, (
            "a round once opened is never extended"
        )
        editor.given[unit] = number
        size = self._round_size if self._synchronized else self._round_size + 1
        assert editor.has(number) <= size
        others = [other for name, other in self.editors.items() if not other.alone and self.may_take(name, unit)]
        passed_over = sum(other.has(number) < editor.has(number) - 1 for other in others)
        assert passed_over <= len(self.suspects), (
            "all editors have as many units before one gets more, unless it waits for a suspect"
        )

    def _on_opened(self, released: dict[str, int]) -> None:
        assert released == dict.fromkeys(self.editors, self.rounds.round)
        self._check_all_are_done_with(self.rounds.round - 1)
        assert self.synced == self.opened, "the round before is over"
        self.opened.append(self.rounds.round)
        assert self.opened == list(range(len(self.opened)))

    def _check_all_are_done_with(self, last: int) -> None:
        for name, editor in self.editors.items():
            assert all(number is None or number > last for number in editor.given.values()), f"{name} is not done"

    def _check_state(self) -> None:
        rounds = self.rounds
        assert rounds.editors == len(self.editors)
        assert rounds.finished == (not self._waiting and not self.outstanding)
        assert rounds.stranded == (bool(self._waiting) and not self.editors)
        if not self.editors or self.draining or self.full:
            return
        for name, editor in self.editors.items():
            takes = self.suspects if editor.proven else self._waiting - self.suspects
            assert editor.units or not any(self.may_take(name, unit) for unit in takes), "an editor is idle for nothing"
        if self._synchronized:
            busy = any(editor.startable() is not None for editor in self.editors.values())
            image_awaited = any(
                editor.at_barrier and not editor.given and (editor.alone or self.suspects)
                for editor in self.editors.values()
            )
            assert busy or image_awaited or not self._waiting, "units wait, there is an editor, and none works"
            given = [number for editor in self.editors.values() for number in editor.given.values()]
            assert all(number in {rounds.round, rounds.round + 1} for number in given)
        elif self._waiting != self.suspects:
            idle = [
                editor
                for name, editor in self.editors.items()
                if editor.has(None) <= self._round_size
                and any(self.may_take(name, unit) for unit in self._waiting - self.suspects)
            ]
            assert sum(not editor.alone for editor in idle) <= len(self.suspects)
