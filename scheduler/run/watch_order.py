"""What ``warmbench watch`` does next: which checkpoint is ready, which one it waits for, which one is broken.

Pure: it is told what a look at the folder found and how each evaluation ended, and has no clock of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from scheduler.run.sweep_order import combined_exit_code, natural

_ABORTS_IN_A_ROW = 3
"""So many make an end: the checkpoints are not the reason."""


@dataclass(frozen=True)
class Sighting:
    """A folder that is a checkpoint, or will be one, as a look found it.

    ``path`` is relative to the watched folder. ``version`` changes with the files. ``age`` is how many seconds ago the
    last of them was written, by their times. ``lacks`` says what is missing to a complete checkpoint. ``temporary``: by
    its name, it will be renamed once it is complete.
    """

    path: str
    step: int | None
    version: str
    age: float
    lacks: tuple[str, ...] = ()
    temporary: bool = False
    trained: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.lacks and not self.temporary


@dataclass(frozen=True)
class Watched:
    """What became of a version of a checkpoint.

    ``code`` is the exit code of its ``run``: None while it is evaluated, and if that was killed; 2 if the checkpoint is
    broken, for the ``reason``.
    """

    path: str
    step: int | None
    version: str
    run: str | None = None
    code: int | None = None
    reason: str | None = None

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left to do with this version: it was evaluated, or is broken."""
        return self.code in (0, 2, 3)


@dataclass(frozen=True)
class WatchRules:
    """What the user asks for. ``settle`` and ``broken_after`` are in seconds: how long a checkpoint must be unchanged
    to count as written, and an incomplete one to count as broken.
    """

    settle: float = 30.0
    broken_after: float = 600.0
    newest_first: bool = False
    every: int = 1
    from_step: int = 0
    until: int | None = None
    once: bool = False

    def wants(self, step: int | None) -> bool:
        """Whether a checkpoint of this step is to be evaluated; one without a step always is."""
        if step is None:
            return True
        return step % self.every == 0 and self.from_step <= step <= (math.inf if self.until is None else self.until)


@dataclass(frozen=True)
class Waiting:
    """A checkpoint that is not ready, and what it waits for. ``incomplete``: something is missing."""

    path: str
    why: str
    incomplete: bool


@dataclass(frozen=True)
class View:
    """What follows from a look. ``ready`` are the checkpoints to evaluate, the next one first. ``broken`` and ``gone``
    are new since the look before. ``over``: there is nothing left to wait for.
    """

    ready: tuple[Sighting, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    broken: tuple[Watched, ...] = ()
    gone: tuple[str, ...] = ()
    over: bool = False


class Watch:
    """The checkpoints of a folder, those of earlier parts of the watch included."""

    def __init__(self, rules: WatchRules, known: Iterable[Watched] = ()) -> None:
        self._rules = rules
        self._known = {entry.path: entry for entry in known}
        self._seen: dict[str, Sighting] = {}
        self._since: dict[str, float] = {}
        self._pending: frozenset[str] = frozenset()
        self._aborts: Counter[tuple[str, str]] = Counter()
        self._aborts_in_a_row = 0
        self._interrupted = False

    @property
    def entries(self) -> list[Watched]:
        """What became of each checkpoint, in the order of steps."""
        return sorted(self._known.values(), key=lambda entry: _order(entry.step, entry.path))

    @property
    def decided(self) -> dict[str, str]:
        """The versions with which nothing is left to do, by their paths."""
        return {entry.path: entry.version for entry in self._known.values() if entry.is_decided}

    def look(self, seen: Sequence[Sighting], now: float) -> View:
        """Decide by what a look has found at the time ``now``, in seconds of any clock that only goes forward."""
        self._remember(seen, now)
        ready: list[Sighting] = []
        waiting: list[Waiting] = []
        broken: list[Watched] = []
        for one in self._left(seen):
            unchanged = max(one.age, now - self._since[one.path])
            if one.is_complete and unchanged >= self._rules.settle:
                ready.append(one)
            elif one.is_complete or unchanged < self._patience:
                waiting.append(self._waiting(one, unchanged))
            elif not one.temporary:
                broken.append(Watched(one.path, one.step, one.version, code=2, reason="; ".join(one.lacks)))
        self._known |= {entry.path: entry for entry in broken}
        gone = self._pending - self._seen.keys()
        self._pending = frozenset(one.path for one in ready) | {one.path for one in waiting}
        over = not ready and not waiting and (self._rules.once or self._is_past_the_last())
        return View(tuple(ready), tuple(waiting), tuple(broken), tuple(sorted(gone, key=natural)), over)

    def following(self, seen: Sequence[Sighting], present: str) -> Sighting | None:
        """Return the checkpoint that most likely follows the present one, by a look that decides nothing."""
        complete = (one for one in self._left(seen) if one.is_complete and one.age >= self._rules.settle)
        return next((one for one in complete if one.path != present), None)

    def earlier_run(self, one: Sighting) -> str | None:
        """The run that evaluated another version of this checkpoint, if there was one."""
        entry = self._known.get(one.path)
        return entry.run if entry is not None and entry.version != one.version else None

    def run_of(self, one: Sighting) -> str | None:
        """The run to resume for this version of a checkpoint, if one has begun."""
        entry = self._known.get(one.path)
        return entry.run if entry is not None and entry.version == one.version else None

    def began(self, one: Sighting, run: str) -> None:
        """The checkpoint is evaluated by this run."""
        self._known[one.path] = Watched(one.path, one.step, one.version, run)

    def ended(self, one: Sighting, code: int, reason: str | None, after: Sighting | None) -> bool:
        """The evaluation ended with this exit code; ``after`` is what is there now.

        Returns whether that counts. It does not if the checkpoint could not be evaluated because it was deleted or
        overwritten meanwhile.
        """
        run = self.run_of(one)
        if code == 130:
            self.interrupt()
        if code in (1, 2) and (after is None or after.version != one.version):
            self._known[one.path] = Watched(one.path, one.step, one.version, run)
            self._pending -= {one.path}
            return False
        self._known[one.path] = Watched(one.path, one.step, one.version, run, code, reason)
        self._aborts_in_a_row = self._aborts_in_a_row + 1 if code == 1 else 0
        if code == 1:
            self._aborts[one.path, one.version] += 1
        return True

    def interrupt(self) -> None:
        """The user wants the watch to end."""
        self._interrupted = True

    @property
    def must_end(self) -> bool:
        """Whether the watch cannot go on: the user wants its end, or too many runs were aborted one after the other."""
        return self._interrupted or self._aborts_in_a_row >= _ABORTS_IN_A_ROW

    def exit_code(self, gate: Collection[int] = ()) -> int:
        """The first of ``EXIT_ORDER`` that applies; ``gate`` are codes of what was asked of the scores.

        Without a single checkpoint it is 2: the folder is the wrong one.
        """
        if self._interrupted:
            return 130
        codes = {entry.code for entry in self._known.values() if entry.is_decided or entry.path in self._seen} - {None}
        if not codes:
            return 0 if self._known else 2
        return combined_exit_code({*codes, *gate})

    def _remember(self, seen: Sequence[Sighting], now: float) -> None:
        before, self._seen = self._seen, {one.path: one for one in seen}
        self._since = {
            path: self._since[path] if path in before and _same(before[path], one) else now
            for path, one in self._seen.items()
        }

    def _left(self, seen: Sequence[Sighting]) -> list[Sighting]:
        """What is to be evaluated still, in its order."""
        wanted = [one for one in seen if self._rules.wants(one.step) and not self._is_decided(one)]
        return sorted(wanted, key=lambda one: _order(one.step, one.path), reverse=self._rules.newest_first)

    def _is_decided(self, one: Sighting) -> bool:
        """Nothing is left to do: also after a second abort."""
        entry = self._known.get(one.path)
        decided = entry is not None and entry.version == one.version and entry.is_decided
        return decided or self._aborts[one.path, one.version] > 1

    @property
    def _patience(self) -> float:
        """After how many seconds an incomplete checkpoint is broken."""
        return self._rules.settle if self._rules.once else self._rules.broken_after

    def _waiting(self, one: Sighting, unchanged: float) -> Waiting:
        if one.temporary:
            return Waiting(one.path, "it is being written, as its name says", incomplete=True)
        if one.lacks:
            return Waiting(one.path, "; ".join(one.lacks), incomplete=True)
        return Waiting(one.path, f"unchanged for {unchanged:.0f} of {self._rules.settle:g} s", incomplete=False)

    def _is_past_the_last(self) -> bool:
        """Whether a checkpoint of the last step that is wanted, or of a later one, has been seen."""
        steps = [one.step for one in self._seen.values()] + [entry.step for entry in self._known.values()]
        last = self._rules.until
        return last is not None and any(step is not None and step >= last for step in steps)


def _same(one: Sighting, other: Sighting) -> bool:
    return (one.version, one.lacks, one.temporary) == (other.version, other.lacks, other.temporary)


def _order(step: int | None, path: str) -> tuple[float, tuple[tuple[tuple[int, str], ...], str]]:
    """Sorts by step; what has none, such as the model at the end of a training, comes last."""
    return math.inf if step is None else step, natural(path)
