"""Decides which editor makes which edit, and when: in rounds with barriers, or free running.

Every method is an event and returns the actions that follow; there are no sockets, clocks or threads here.

With barriers, all editors work on one round at a time. Each has its units of round k and, ahead of time, those of round
k+1, which it may decode but not start. When every live editor is done with round k, round k+1 is released. A barrier
never counts replies: it waits for live editors only. The units of a lost editor go to the front of the queue; an open
round is never extended. Free running, an editor has one unit to work on and ``round_size`` ahead, and never waits.

Editors may be faster than the disk: while ``max_undelivered`` images wait to be written, no unit is assigned.

What a dead editor worked on is tried alone (see ``suspects``): an editor that has nothing else takes it, in a round as
usual, and gets nothing more until its image has arrived. What failed on one editor is tried on another.
"""

from __future__ import annotations

from msgspec import Struct, field

from scheduler.benchmark.units import EditUnit, Units
from scheduler.stages.actions import AssignEdit, GiveUpEdit, ReleaseRound, RoundAction, Synced, WithdrawEdit
from scheduler.stages.backlog import Backlog
from scheduler.stages.suspects import Suspects, Tried

MAX_UNDELIVERED_EDITS = 64
"""Enough images that wait to be written to keep a disk busy."""


class _Editor(Struct):
    """``holding``: the units that its device is not done with, in the order sent, with their round (free running: -1);
    ``at_barrier``: done, image not received; ``alone``: it has a suspect; ``proven``: it has done a unit in this life.
    """

    holding: dict[EditUnit, int] = field(default_factory=dict)
    at_barrier: dict[EditUnit, None] = field(default_factory=dict)
    alone: bool = False
    proven: bool = False

    @property
    def units(self) -> list[EditUnit]:
        return [*self.at_barrier, *self.holding]

    def in_round(self, number: int) -> int:
        return [*self.holding.values()].count(number)


class Rounds:
    """All edits of a run."""

    def __init__(
        self,
        units: Units,
        *,
        synchronized: bool = True,
        round_size: int = 1,
        max_attempts: int = 3,
        max_undelivered: int | None = None,
    ) -> None:
        """``units`` are not copied and must not change. ``max_undelivered`` is a number of images; None: no limit."""
        self._backlog = Backlog(units)
        self._units = len(units)
        self._tried: Tried[EditUnit] = Tried()
        self._suspects = Suspects(self._tried)
        self._synchronized = synchronized
        self._round_size = round_size
        self._max_attempts = max_attempts
        self._max_undelivered = max_undelivered
        self._editors: dict[str, _Editor] = {}
        self._landing: set[EditUnit] = set()
        self.round = -1
        """The number of the current round, or of the last one; -1 before the first."""
        self._open = False
        self._starts: dict[EditUnit, int] = {}
        self._errors: dict[EditUnit, int] = {}
        self._draining = False

    @property
    def editors(self) -> int:
        """The number of editors."""
        return len(self._editors)

    def current(self, name: str) -> EditUnit | None:
        """Return what the editor's device may be working on; None if it is done with its round, or has nothing."""
        editor = self._editors.get(name)
        holding = editor.holding.items() if editor is not None else ()
        return next((unit for unit, number in holding if number <= self.round), None)

    @property
    def waiting(self) -> tuple[int, int]:
        """The number of editors that are done with the current round, and of all; without rounds 0 and 0."""
        if not self._synchronized or not self._open:
            return 0, 0
        return sum(self.current(name) is None for name in self._editors), len(self._editors)

    @property
    def finished(self) -> bool:
        """Whether no unit waits, and all that were assigned are delivered or have failed."""
        busy = any(editor.units for editor in self._editors.values())
        return not (self._backlog or self._suspects or self._landing or busy)

    @property
    def running_out(self) -> bool:
        """Whether no unit waits: all that is left is with the editors."""
        return not (self._backlog or self._suspects)

    @property
    def nearly_out(self) -> bool:
        """Whether at most a quarter of all units waits."""
        return 4 * len(self._backlog) <= self._units

    @property
    def stranded(self) -> bool:
        """Whether units wait and there is no editor."""
        return bool(self._backlog or self._suspects) and not self._editors

    @property
    def last_round(self) -> int:
        """The number of the last round if no editor dies or joins and nothing fails; free running, that of ``round``.

        While suspects wait it is an estimate: each takes an editor for a round.
        """
        if not self._editors or not self._synchronized:
            return self.round
        ahead = sum(editor.in_round(self.round + 1) for editor in self._editors.values())
        waiting = len(self._backlog) + len(self._suspects) * self._round_size + ahead
        return self.round - (-waiting // (len(self._editors) * self._round_size))

    # -- editors

    def join(self, *names: str) -> list[RoundAction]:
        """Editors are ready, for the first time or again; they take part from the next round on.

        Editors that join in one call share that round; of those that join one by one, the first has round 0 alone.
        """
        for name in names:
            self._editors.setdefault(name, _Editor())
        return self._pump()

    def lose(self, name: str, *, died: bool, reason: str | None = None) -> list[RoundAction]:
        """An editor is lost. The units whose images have not arrived go to others, before all other units.

        With ``died`` (of ``reason``, if known), the unit that it worked on may be the cause; a silent editor makes no
        unit suspect.
        """
        editor = self._editors.pop(name, None)
        if editor is None:
            return []
        again = editor.units
        poisoned: list[EditUnit] = []
        if died:
            released = [unit for unit, number in editor.holding.items() if number <= self.round]
            # An editor works in the order sent, so the first is on its device; or the second, until the message that
            # the first is done has arrived. Therefore a unit that was beside a suspect twice becomes one, too.
            aftermath = self._suspects.died(name, again, released[:1], reason)
            again, poisoned = aftermath.others, aftermath.poisoned
        elif editor.alone:
            self._suspects.put_back(again)
            again = []
        if self._draining:
            self._suspects.clear()
        else:
            self._backlog.put_first(again)
        return self._give_up(poisoned) + self._pump()

    # -- units

    def at_barrier(self, name: str, unit: EditUnit) -> list[RoundAction]:
        """The editor's device is done with the unit; its image follows."""
        editor = self._editors.get(name)
        if editor is None or editor.holding.pop(unit, None) is None:
            return []
        editor.at_barrier[unit] = None
        editor.proven = True
        return self._pump()

    def received(self, name: str, unit: EditUnit) -> list[RoundAction]:
        """The unit's image arrived: from now on the loss of the editor does not affect it."""
        if self._take(name, unit):
            self._landing.add(unit)
        return self._pump()

    def delivered(self, unit: EditUnit) -> list[RoundAction]:
        """The unit's image is on disk and in the ledger."""
        if unit not in self._landing:
            return []
        was_full = self._full
        self._landing.discard(unit)
        self._forget(unit)
        return self._pump() if was_full else []

    def failed(self, name: str, unit: EditUnit, *, again: bool) -> list[RoundAction]:
        """The unit failed. With ``again`` it is retried, up to ``max_attempts`` starts in all.

        While draining nothing is retried; what could have been is left undone, not given up.
        """
        if not self._take(name, unit):
            return []
        self._errors[unit] = self._errors.get(unit, 0) + 1
        actions: list[RoundAction] = []
        if not again or self._errors[unit] >= self._max_attempts:
            self._forget(unit)
            actions.append(GiveUpEdit(unit))
        elif not self._draining:
            self._tried.note(unit, name)
            self._backlog.put_last(unit)
        return actions + self._pump()

    def drain(self) -> list[RoundAction]:
        """Start nothing more; what is on the devices is finished."""
        self._draining = True
        self._backlog.clear()
        self._suspects.clear()
        actions: list[RoundAction] = []
        for name, editor in self._editors.items():
            # An editor works in the order sent: only the first can be on its device.
            released = [unit for unit, number in editor.holding.items() if number <= self.round]
            for unit in [unit for unit in editor.holding if unit not in released[:1]]:
                del editor.holding[unit]
                actions.append(WithdrawEdit(name, unit))
        return actions

    # -- inside

    def _take(self, name: str, unit: EditUnit) -> bool:
        editor = self._editors.get(name)
        if editor is None or unit not in editor.units:
            return False
        editor.holding.pop(unit, None)
        editor.at_barrier.pop(unit, None)
        editor.alone = False
        return True

    def _give_up(self, poisoned: list[EditUnit]) -> list[RoundAction]:
        if not poisoned:
            return []
        given_up = [*poisoned, *self._backlog.remove(self._suspects.is_poison)]
        for unit in given_up:
            self._forget(unit)
        return [GiveUpEdit(unit, self._suspects.deaths(unit)) for unit in given_up]

    def _forget(self, unit: EditUnit) -> None:
        """Drop the counts of a unit that is over: a run of many pairs must not keep them for each."""
        self._starts.pop(unit, None)
        self._errors.pop(unit, None)
        self._tried.forget(unit)

    @property
    def _full(self) -> bool:
        """Whether too many images wait to be written."""
        return self._max_undelivered is not None and len(self._landing) >= self._max_undelivered

    def _pump(self) -> list[RoundAction]:
        return self._next_round() if self._synchronized else self._fill(None, self._round_size + 1)

    def _next_round(self) -> list[RoundAction]:
        following = self.round + 1
        if any(number < following for editor in self._editors.values() for number in editor.holding.values()):
            return self._fill(following, self._round_size)
        actions: list[RoundAction] = []
        if self._open:
            actions.append(Synced(self.round))
            self._open = False
        actions += self._fill(following, self._round_size)
        if self._awaits_an_image() or not any(editor.holding for editor in self._editors.values()):
            return actions
        self.round, self._open = following, True
        actions += [ReleaseRound(name, following) for name in self._editors]
        return actions + self._fill(following + 1, self._round_size)

    def _awaits_an_image(self) -> bool:
        """Whether an editor can take part in the next round as soon as its last image has arrived: a short wait for all
        saves it a whole round without work.
        """
        if not (self._backlog or self._suspects):
            return False
        kept_free = self._kept_free()
        return any(
            editor.at_barrier and not editor.holding and (editor.alone or name in kept_free)
            for name, editor in self._editors.items()
        )

    def _fill(self, number: int | None, depth: int) -> list[RoundAction]:
        """Give each editor up to ``depth`` units of round ``number``: one to all before a second to any."""
        suspects, round_ = bool(self._suspects), -1 if number is None else number
        if self._full or not (suspects or self._backlog):
            return []
        actions: list[RoundAction] = []
        for level in range(depth):
            for name, editor in self._editors.items():
                if not suspects and editor.in_round(round_) > level:
                    continue  # the usual case, decided quickly: all editors are looked at after each message
                unit = self._next_for(name, editor, round_, level)
                if unit is not None:
                    actions.append(self._assign(name, unit, number))
        return actions

    def _next_for(self, name: str, editor: _Editor, number: int, level: int) -> EditUnit | None:
        if editor.alone:
            return None
        if self._suspects and not editor.units and self._may_try(editor):
            suspect = self._suspects.take(name, self._editors)
            if suspect is not None:
                editor.alone = True
                return suspect
        if self._backlog and editor.in_round(number) <= level and name not in self._kept_free():
            return self._backlog.take(lambda units: self._tried.first(units, name, self._editors))
        return None

    def _may_try(self, editor: _Editor) -> bool:
        return editor.proven or not self._backlog

    def _kept_free(self) -> set[str]:
        if not self._suspects:
            return set()
        return self._suspects.kept_free(
            {
                name: len(editor.units)
                for name, editor in self._editors.items()
                if not editor.alone and self._may_try(editor)
            },
            self._editors,
        )

    def _assign(self, name: str, unit: EditUnit, number: int | None) -> AssignEdit:
        self._editors[name].holding[unit] = -1 if number is None else number
        self._starts[unit] = self._starts.get(unit, 0) + 1
        return AssignEdit(name, unit, number, self._starts[unit])
