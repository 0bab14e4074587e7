"""What a run shows while it goes on: its stages' bars or lines, and what the live screen asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from protocol import messages as m
from scheduler.base.stages import Stage
from scheduler.pool.worker_client import WorkerClient
from scheduler.run.course import Course
from scheduler.run.planner import Remaining
from scheduler.run.run_view import ViewBuilder
from scheduler.stages.edit_stage import EditStage
from scheduler.stages.score_stage import ScoreStage
from scheduler.store.rows import Row
from scheduler.terminal.bars import StageBars
from scheduler.terminal.snapshot import RunView


class ProgressDisplay:
    """Shows the stages that were started on these bars, until they are finished."""

    def __init__(
        self, bars: StageBars, edit: EditStage, score: ScoreStage, categories: Iterable[str], heartbeat_seconds: float
    ) -> None:
        self._bars = bars
        self._edit = edit
        self._score = score
        self._shown: list[Stage] = []
        self._builder = ViewBuilder(heartbeat_seconds)
        self._builder.expect(categories)

    def note(self, rows: Iterable[Row]) -> None:
        """Count the results among rows that go into the ledger."""
        self._builder.note(rows)

    def adopt(self, remaining: Remaining) -> None:
        """Count the scores of an earlier part of the run."""
        for category, (count, total) in remaining.sums.items():
            self._builder.add_scores(category, total, count)

    def start(self, stage: Stage, total: int, *, done: int) -> None:
        """Show this stage from now on."""
        self._bars.start(stage, total, done=done)
        self._shown.append(stage)

    def show(
        self,
        course: Course,
        *,
        pool: Callable[[], Iterable[m.WorkerStatus]],
        client_of: Callable[[str], WorkerClient | None],
    ) -> None:
        """Show the run as it is now."""

        def view() -> RunView:
            return self._builder.view(
                pool(),
                client_of,
                self._edit.at_work(),
                self._score.at_work(),
                at_barrier=self._edit.rounds.waiting,
                phase=_phase_text(course),
            )

        self._bars.look(view)
        for stage in self._shown:
            self._update(stage)

    def finish(self, stage: Stage) -> None:
        """The stage is over."""
        self._update(stage)
        self._bars.finish(stage)
        self._shown.remove(stage)

    def _update(self, stage: Stage) -> None:
        counts = self._edit if stage == "edit" else self._score
        round_, rounds = None, None
        if stage == "edit" and self._edit.rounds.round >= 0:
            round_, rounds = self._edit.rounds.round + 1, self._edit.rounds.last_round + 1
        self._bars.update(
            stage,
            done=counts.reused + counts.done + counts.failed,
            failed=counts.failed,
            round=round_,
            rounds=rounds,
            working=counts.done + counts.failed > 0 or bool(counts.at_work()),
        )


def _phase_text(course: Course) -> str:
    """What the run does where it neither edits nor scores."""
    if course.draining:
        return "interrupted: finishing the work on the devices"
    if course.phase == "switching":
        return "switching models"
    return "" if course.begun else "waiting for the workers"
