"""The progress of a running evaluation: a live bar per stage in a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from scheduler.logs import format_duration
from scheduler.terminal.rate import Rate
from scheduler.text import one_line

LINE_EVERY_SECONDS = 10.0
LINE_EVERY_SHARE = 0.1


@dataclass(slots=True)
class _Stage:
    name: str
    total: int
    rate: Rate
    done: int = 0
    failed: int = 0
    round: int | None = None
    rounds: int | None = None
    ended: float | None = None
    task: TaskID | None = None
    said_at: float = 0.0
    said_done: int = 0

    def facts(self, now: float) -> list[str]:
        """``120/270``, ``2 failed``, ``round 3/9``, ``2.86 pairs/s``, ``53s left``: what is known of it."""
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
    """Shows stages as they go; both may run at once. A context manager, to be used from one thread.

    Live bars need a terminal that can redraw a line, and no ``CI`` in the environment. Without, a stage says a plain
    line when it has gone on by a tenth, or 10 seconds after its last one, if there is news.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._progress: Progress | None = None
        if console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI"):
            self._progress = Progress(
                _Name(),
                BarColumn(bar_width=24),
                _Facts(self._stages, clock),
                console=console,
                refresh_per_second=4,
            )

    def __enter__(self) -> StageBars:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, stage: str, total: int, *, done: int = 0) -> None:
        """A stage begins, or begins anew. ``done`` of its ``total`` pairs were done before (a resumed run)."""
        now = self._clock()
        known = self._stages.get(stage)
        state = _Stage(name=stage, total=total, rate=Rate(now, done), done=done, said_at=now, said_done=done)
        self._stages[stage] = state
        if self._progress is None:
            self._say(state, now)
        elif known is not None and known.task is not None:
            state.task = known.task
            self._progress.reset(known.task, total=total, completed=done)
        else:
            state.task = self._progress.add_task("", total=total, completed=done, stage=stage)

    def update(
        self,
        stage: str,
        *,
        done: int,
        failed: int,
        round: int | None = None,  # noqa: A002 - the field's word
        rounds: int | None = None,
    ) -> None:
        """``done`` pairs are through with the stage, the ``failed`` ones among them; ``round`` counts from 1.

        Raises:
            KeyError: the stage was never started.
        """
        state = self._stages[stage]
        now = self._clock()
        if done != state.done:
            state.rate.note(now, done)
        state.done, state.failed = done, failed
        state.round = state.round if round is None else round
        state.rounds = state.rounds if rounds is None else rounds
        if self._progress is not None and state.task is not None:
            self._progress.update(state.task, completed=done)
        elif self._is_news(state, now):
            self._say(state, now)

    def finish(self, stage: str) -> None:
        """The stage is over, whether or not all its pairs are through. Saying it twice changes nothing.

        Raises:
            KeyError: the stage was never started.
        """
        state = self._stages[stage]
        if state.ended is not None:
            return
        state.ended = self._clock()
        if self._progress is not None and state.task is not None:
            self._progress.stop_task(state.task)
            self._progress.refresh()
        else:
            self._say(state, state.ended)

    def _is_news(self, state: _Stage, now: float) -> bool:
        if now - state.said_at >= LINE_EVERY_SECONDS:
            return True
        return state.done - state.said_done >= max(1.0, state.total * LINE_EVERY_SHARE)

    def _say(self, state: _Stage, now: float) -> None:
        state.said_at, state.said_done = now, state.done
        facts = [] if state.ended is None else ["finished"]
        line = f"{one_line(state.name, 40)}: {', '.join([*facts, *state.facts(now)])}"
        self._console.print(Text(line), soft_wrap=True)


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(one_line(task.fields["stage"], 20), style="bold")


class _Facts(ProgressColumn):
    """Drawn at every refresh, so that rate and remaining time go on while nothing is reported."""

    def __init__(self, stages: dict[str, _Stage], clock: Callable[[], float]) -> None:
        super().__init__(Column(no_wrap=True))
        self._stages = stages
        self._clock = clock

    def render(self, task: Task) -> Text:
        state = self._stages.get(task.fields["stage"])
        if state is None:
            return Text("")
        return Text("  ".join(state.facts(self._clock())), style="red" if state.failed else "")
