"""The order of work of a sweep: which checkpoint is evaluated next, and how the sweep has ended.

Pure: it is told how each evaluation ended, and names the next one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from scheduler.base.stages import Stage

EXIT_ORDER = (130, 1, 2, 4, 3, 0)
"""The exit code of a sweep is the first of these that applies."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of a sweep. ``run`` is the id of its run, once that has begun.

    ``code`` is the exit code of its last evaluation: None if there was none, or it was killed; 2 if the checkpoint
    cannot be loaded, for the ``reason``. ``stages`` are those of the evaluation that ended.
    """

    model: str
    run: str | None = None
    code: int | None = None
    reason: str | None = None
    stages: tuple[Stage, ...] = ()

    def is_finished(self, stages: Iterable[Stage]) -> bool:
        """Whether these stages were done to their end, be it with failed pairs."""
        return self.code in (0, 3) and {*stages} <= {*self.stages}


class Sweep:
    """The checkpoints of a sweep, in the order of their evaluation."""

    def __init__(self, models: Iterable[str], stages: Sequence[Stage], known: Iterable[Checkpoint] = ()) -> None:
        """``known`` are those of an earlier part: what is finished stays, everything else is done again or resumed."""
        self._stages = tuple(stages)
        before = {checkpoint.model: checkpoint for checkpoint in known}
        names = sorted({*models, *before}, key=natural)
        self._checkpoints = {name: before.get(name, Checkpoint(name)) for name in names}
        self._left = [name for name in names if not self._checkpoints[name].is_finished(stages)]
        self._interrupted = False

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """All of them, in order."""
        return list(self._checkpoints.values())

    @property
    def left(self) -> int:
        """How many are to be evaluated still."""
        return len(self._left)

    def next(self) -> Checkpoint | None:
        """The checkpoint to evaluate now; None if there is none left, or the user wants the sweep to end."""
        return self._checkpoints[self._left[0]] if self._left and not self._interrupted else None

    def following(self) -> str | None:
        """The checkpoint after the one that is evaluated now; None if that is the last one."""
        return self._left[1] if len(self._left) > 1 and not self._interrupted else None

    def began(self, model: str, run: str) -> None:
        """The checkpoint is evaluated by this run."""
        self._checkpoints[model] = Checkpoint(model, run)

    def ended(self, model: str, code: int, reason: str | None = None) -> None:
        """The evaluation of this checkpoint ended with this exit code; 2: it cannot be loaded, for this reason."""
        stages = self._stages if code in (0, 3) else ()
        self._checkpoints[model] = replace(self._checkpoints[model], code=code, reason=reason, stages=stages)
        self._left.remove(model)
        if code == 130:
            self.interrupt()

    def interrupt(self) -> None:
        """The user wants the sweep to end."""
        self._interrupted = True

    @property
    def exit_code(self) -> int:
        """The first of ``EXIT_ORDER`` that applies. A checkpoint that cannot be loaded is an incomplete result (3)
        beside others, and a wrong command line (2) if none can.
        """
        if self._interrupted:
            return 130
        return combined_exit_code({checkpoint.code for checkpoint in self.checkpoints})


def combined_exit_code(codes: Collection[int | None]) -> int:
    """Return the exit code of runs that ended with these: the first of ``EXIT_ORDER`` that applies.

    What cannot be loaded (2) is an incomplete result (3) beside others.
    """
    if {*codes} - {2, 4}:
        codes = {3 if code == 2 else code for code in codes}
    return next((code for code in EXIT_ORDER if code in codes), 1)


def natural(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a key that sorts numbers in texts by their value: ``checkpoint-900`` before ``checkpoint-1000``."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts)), text
