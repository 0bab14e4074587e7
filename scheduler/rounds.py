"""Who edits what, and when: rounds with barriers, or free running. Decided without sockets, clocks or threads.

Every method is an event and returns the actions that follow. Synchronized, all editors work on one round at a time:
each has its units of round k and, ahead of time, those of round k+1, which it may decode but not start. When everybody
alive is done with round k, round k+1 is released. A round never waits for a number of replies, only for the editors
that live; what a dead editor had goes to the front of the queue, and a round once opened is never extended. Free
running, an editor has one unit to work on and one ahead, and never waits for another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.units import EditUnit


@dataclass(frozen=True)
class Assign:
    """Send the unit to the editor. ``round`` is None when running free; ``attempt`` counts from 1."""

    editor: str
    unit: EditUnit
    round: int | None
    attempt: int


@dataclass(frozen=True)
class Release:
    """Tell the editor that it may start its units of this round."""

    editor: str
    round: int


@dataclass(frozen=True)
class Synced:
    """The round is over: all editors that live are done with it."""

    round: int


@dataclass(frozen=True)
class Withdraw:
    """Take back a unit that the editor has not begun."""

    editor: str
    unit: EditUnit


@dataclass(frozen=True)
class GiveUp:
    """The unit has failed for good."""

    unit: EditUnit


Action = Assign | Release | Synced | Withdraw | GiveUp


@dataclass
class _Editor:
    """``holding``: what the device is not done with, with its round; ``at_barrier``: done, but not delivered."""

    holding: dict[EditUnit, int] = field(default_factory=dict)
    at_barrier: dict[EditUnit, None] = field(default_factory=dict)

    def in_round(self, number: int) -> int:
        return sum(found == number for found in self.holding.values())


class Rounds:
    """All edits of a run."""

    def __init__(
        self, units: Iterable[EditUnit], *, synchronized: bool = True, round_size: int = 1, max_attempts: int = 3
    ) -> None:
        self._queue = deque(units)
        self._synchronized = synchronized
        self._round_size = round_size
        self._max_attempts = max_attempts
        self._editors: dict[str, _Editor] = {}
        self._landing: set[EditUnit] = set()
        self._round = -1
        self._open = False
        self._starts: dict[EditUnit, int] = {}
        self._errors: dict[EditUnit, int] = {}
        self._draining = False

    @property
    def round(self) -> int:
        """The number of the round that is worked on, or of the last one; -1 before the first."""
        return self._round

    @property
    def editors(self) -> int:
        """How many editors take part."""
        return len(self._editors)

    @property
    def finished(self) -> bool:
        """Whether nothing is left: no unit waits, and all that were assigned are delivered or failed."""
        busy = any(editor.holding or editor.at_barrier for editor in self._editors.values())
        return not (self._queue or self._landing or busy)

    @property
    def stranded(self) -> bool:
        """Whether units wait and there is nobody to do them."""
        return bool(self._queue) and not self._editors

    def rounds_left(self) -> int:
        """How many rounds there will be after this one, if nobody dies or joins and nothing fails."""
        if not self._editors:
            return 0
        ahead = sum(editor.in_round(self._round + 1) for editor in self._editors.values())
        waiting = len(self._queue) + ahead
        return -(-waiting // (len(self._editors) * self._round_size))

    # -- editors

    def join(self, name: str) -> list[Action]:
        """An editor is there, for the first time or again; it takes part from the next round on."""
        if name in self._editors:
            return []
        self._editors[name] = _Editor()
        actions = self._pump()
        if self._synchronized and self._open:
            actions += self._fill(name, self._round + 1)
        return actions

    def lose(self, name: str) -> list[Action]:
        """An editor is gone. What it had not delivered is done by others, first of all."""
        editor = self._editors.pop(name, None)
        if editor is None:
            return []
        if not self._draining:
            self._queue.extendleft(reversed([*editor.at_barrier, *editor.holding]))
        return self._pump()

    # -- units

    def at_barrier(self, name: str, unit: EditUnit) -> list[Action]:
        """The editor's device is done with the unit; its result is still to come."""
        editor = self._editors.get(name)
        if editor is None or editor.holding.pop(unit, None) is None:
            return []
        editor.at_barrier[unit] = None
        return self._pump()

    def received(self, name: str, unit: EditUnit) -> list[Action]:
        """The editor's image arrived; from now on the editor's death does not matter to this unit."""
        if self._take(name, unit):
            self._landing.add(unit)
        return self._pump()

    def delivered(self, unit: EditUnit) -> None:
        """The unit's image is on disk and in the ledger."""
        self._landing.discard(unit)

    def failed(self, name: str, unit: EditUnit, *, again: bool) -> list[Action]:
        """The editor could not do the unit. With ``again`` it is tried anew, up to ``max_attempts`` times in all."""
        if not self._take(name, unit):
            return []
        self._errors[unit] = self._errors.get(unit, 0) + 1
        actions: list[Action] = []
        if again and self._errors[unit] < self._max_attempts and not self._draining:
            self._queue.append(unit)
        else:
            actions.append(GiveUp(unit))
        return actions + self._pump()

    def drain(self) -> list[Action]:
        """Begin nothing more; what is on the devices is finished."""
        self._draining = True
        self._queue.clear()
        actions: list[Action] = []
        for name, editor in self._editors.items():
            if self._synchronized:
                later = [unit for unit, number in editor.holding.items() if number > self._round]
            else:
                later = list(editor.holding)[self._round_size :]
            for unit in later:
                del editor.holding[unit]
                actions.append(Withdraw(name, unit))
        return actions

    # -- inside

    def _take(self, name: str, unit: EditUnit) -> bool:
        editor = self._editors.get(name)
        if editor is None:
            return False
        if unit in editor.holding:
            del editor.holding[unit]
            return True
        if unit in editor.at_barrier:
            del editor.at_barrier[unit]
            return True
        return False

    def _pump(self) -> list[Action]:
        return self._next_round() if self._synchronized else self._fill_all()

    def _next_round(self) -> list[Action]:
        if any(number <= self._round for editor in self._editors.values() for number in editor.holding.values()):
            return []
        actions: list[Action] = []
        if self._open:
            actions.append(Synced(self._round))
            self._open = False
        following = self._round + 1
        for name in self._editors:
            actions += self._fill(name, following)
        if not any(editor.holding for editor in self._editors.values()):
            return actions
        self._round, self._open = following, True
        actions += [Release(name, following) for name in self._editors]
        for name in self._editors:
            actions += self._fill(name, following + 1)
        return actions

    def _fill(self, name: str, number: int) -> list[Action]:
        """Give the editor as many units of this round as it may have and there are."""
        actions: list[Action] = []
        editor = self._editors[name]
        while self._queue and editor.in_round(number) < self._round_size:
            actions.append(self._assign(name, number))
        return actions

    def _fill_all(self) -> list[Action]:
        """Running free: everybody gets something to do before anybody gets something ahead."""
        actions: list[Action] = []
        for level in range(self._round_size + 1):
            for name, editor in self._editors.items():
                if self._queue and len(editor.holding) <= level:
                    actions.append(self._assign(name, None))
        return actions

    def _assign(self, name: str, number: int | None) -> Assign:
        unit = self._queue.popleft()
        self._editors[name].holding[unit] = 0 if number is None else number
        self._starts[unit] = self._starts.get(unit, 0) + 1
        return Assign(name, unit, number, self._starts[unit])
