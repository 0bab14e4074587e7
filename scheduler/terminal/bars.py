"""The progress of a run: a live screen in a terminal, plain lines anywhere else."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable

from msgspec import Struct
from rich.console import Console
from rich.text import Text

from scheduler.base.text import format_duration, one_line
from scheduler.terminal.live import PERIOD_SECONDS, LiveScreen
from scheduler.terminal.rate import Rate
from scheduler.terminal.snapshot import RunView, Snapshot, StageView

log = logging.getLogger("warmbench")

LINE_EVERY_SECONDS = 10.0
LINE_EVERY_SHARE = 0.1


class _Bar(Struct):
    name: str
    total: int
    rate: Rate
    done: int = 0
    failed: int = 0
    round: int | None = None
    rounds: int | None = None
    ended: float | None = None
    said_at: float = 0.0
    said_done: int = 0

    def facts(self, now: float) -> list[str]:
        """The facts that are known: ``120/270``, ``2 failed``, ``round 3/9``, ``2.86 pairs/s``, ``53s left``."""
        now = now if self.ended is None else self.ended
        facts = [f"{self.done}/{self.total}"]
        if self.failed:
            facts.append(f"{self.failed} failed")
        if self.round is not None:
            facts.append(f"round {self.round}" if self.rounds is None else f"round {self.round}/{self.rounds}")
        rate = self.rate.per_second(now)
        if rate is not None:
            facts.append(f"{rate:.2f} pairs/s")
        left = self.rate.remaining(now, self.total)
        if left and self.ended is None:
            facts.append(f"{format_duration(left)} left")
        return facts


class StageBars:
    """Shows the stages' progress; both may run at once. A context manager, for one thread.

    The live screen needs a terminal in UTF-8 that can redraw a line, and no ``CI`` in the environment. Without it, a
    stage prints a line for each further tenth, and after 10 seconds without one.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._stages: dict[str, _Bar] = {}
        self._run = RunView()
        self._looked = -math.inf
        self._screen: LiveScreen | None = None
        can_redraw = console.is_terminal and not console.is_dumb_terminal
        if can_redraw and not console.options.ascii_only and not os.environ.get("CI"):
            self._screen = LiveScreen(console, self.snapshot)

    def __enter__(self) -> StageBars:
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._screen is not None:
            # The stages' bars stay on the terminal, the workers' lines do not.
            self._run = RunView()
            self._screen.stop()

    def start(self, stage: str, total: int, *, done: int = 0) -> None:
        """Begin a stage, or begin it again. ``done`` of its ``total`` were done before (a resumed run)."""
        now = self._clock()
        state = _Bar(name=stage, total=total, rate=Rate(now, done), done=done, said_at=now, said_done=done)
        # Replaced, not changed: the drawing thread iterates over it.
        self._stages = {**self._stages, stage: state}
        if self._screen is None:
            self._say(state, now)

    def update(
        self,
        stage: str,
        *,
        done: int,
        failed: int,
        round: int | None = None,  # noqa: A002 - the field's word
        rounds: int | None = None,
        working: bool = True,
    ) -> None:
        """``done`` includes the ``failed`` ones; ``round`` counts from 1. Time does not count while no worker is
        ``working`` on the stage, because models load or the other stage has the devices.

        Raises:
            KeyError: the stage was never started.
        """
        state = self._stages[stage]
        now = self._clock()
        if not working:
            state.rate = Rate(now, done)
        elif done != state.done:
            state.rate.note(now, done)
        state.done, state.failed = done, failed
        state.round = state.round if round is None else round
        state.rounds = state.rounds if rounds is None else rounds
        if self._screen is None and self._is_news(state, now):
            self._say(state, now)

    def look(self, view: Callable[[], RunView]) -> None:
        """Take a new view of the run, if there is a screen and the last view is old enough."""
        now = self._clock()
        if self._screen is not None and now - self._looked >= PERIOD_SECONDS:
            self._looked = now
            try:
                self._run = view()
            except Exception:
                # A broken screen must not end a run.
                log.exception("The run can't be shown in full")
                self._looked = math.inf

    def snapshot(self) -> Snapshot:
        """What the live screen shows now."""
        now = self._clock()
        stages = [
            StageView(state.name, state.done, state.total, state.facts(now), failed=state.failed > 0)
            for state in self._stages.values()
        ]
        return Snapshot(stages, self._run)

    def finish(self, stage: str) -> None:
        """End the stage, whether or not all its pairs are done. Ending it twice changes nothing.

        Raises:
            KeyError: the stage was never started.
        """
        state = self._stages[stage]
        if state.ended is not None:
            return
        state.ended = self._clock()
        if self._screen is None:
            self._say(state, state.ended)

    def _is_news(self, state: _Bar, now: float) -> bool:
        if now - state.said_at >= LINE_EVERY_SECONDS:
            return True
        return state.done - state.said_done >= max(1.0, state.total * LINE_EVERY_SHARE)

    def _say(self, state: _Bar, now: float) -> None:
        state.said_at, state.said_done = now, state.done
        facts = [] if state.ended is None else ["finished"]
        line = f"{one_line(state.name, 40)}: {', '.join([*facts, *state.facts(now)])}"
        self._console.print(Text(line), soft_wrap=True)
