"""Who edits what, and when: rounds with barriers, or free running. Decided without sockets, clocks or threads.

Every method is an event and returns the actions that follow. Synchronized, all editors work on one round at a time:
each has its units of round k and, ahead of time, those of round k+1, which it may decode but not start. When everybody
alive is done with round k, round k+1 is released. A round never waits for a number of replies, only for the editors
that live; what a dead editor had goes to the front of the queue, and a round once opened is never extended. Free
running, an editor has one unit to work on and ``round_size`` ahead, and never waits for another.
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
    """``holding``: what the device is not done with, in the order in which it was sent, with its round (running free:
    -1); ``at_barrier``: done, but not delivered."""

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
        """How many rounds there will be after this one, if nobody dies or joins and nothing fails; free running, 0."""
        if not self._editors or not self._synchronized:
            return 0
        ahead = sum(editor.in_round(self._round + 1) for editor in self._editors.values())
        waiting = len(self._queue) + ahead
        return -(-waiting // (len(self._editors) * self._round_size))

    # -- editors

    def join(self, *names: str) -> list[Action]:
        """Editors are there, for the first time or again; they take part from the next round on.

        Those that come together share that round; of those that come one by one, the first has round 0 to itself.
        """
        for name in names:
            self._editors.setdefault(name, _Editor())
        return self._pump()

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
        """The editor could not do the unit. With ``again`` it is tried anew, up to ``max_attempts`` times in all.

        While draining nothing is tried anew; what might have been is left undone, not given up.
        """
        if not self._take(name, unit):
            return []
        self._errors[unit] = self._errors.get(unit, 0) + 1
        actions: list[Action] = []
        if not again or self._errors[unit] >= self._max_attempts:
            actions.append(GiveUp(unit))
        elif not self._draining:
            self._queue.append(unit)
        return actions + self._pump()

    def drain(self) -> list[Action]:
        """Begin nothing more; what is on the devices is finished."""
        self._draining = True
        self._queue.clear()
        actions: list[Action] = []
        for name, editor in self._editors.items():
            # An editor works in the order in which it was sent units: only the first can be on its device.
            released = [unit for unit, number in editor.holding.items() if number <= self._round]
            for unit in [unit for unit in editor.holding if unit not in released[:1]]:
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
        following = self._round + 1
        if any(number < following for editor in self._editors.values() for number in editor.holding.values()):
            return self._fill_round(following)
        actions: list[Action] = []
        if self._open:
            actions.append(Synced(self._round))
            self._open = False
        actions += self._fill_round(following)
        if not any(editor.holding for editor in self._editors.values()):
            return actions
        self._round, self._open = following, True
        actions += [Release(name, following) for name in self._editors]
        return actions + self._fill_round(following + 1)

    def _fill_round(self, number: int) -> list[Action]:
        """A round that is not open yet takes what there is: everybody gets one unit before anybody gets a second."""
        actions: list[Action] = []
        for level in range(self._round_size):
            for name, editor in self._editors.items():
                if self._queue and editor.in_round(number) <= level:
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
        self._editors[name].holding[unit] = -1 if number is None else number
        self._starts[unit] = self._starts.get(unit, 0) + 1
        return Assign(name, unit, number, self._starts[unit])
