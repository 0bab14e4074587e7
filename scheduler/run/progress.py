"""What a run shows of itself while it goes on: its stages' bars or lines, and what the live screen asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Literal

from protocol import messages as m
from scheduler.base.stages import Stage
from scheduler.pool.worker_client import WorkerClient
from scheduler.run.resume import Remaining
from scheduler.run.view import Course
from scheduler.stages.edit_stage import EditStage
from scheduler.stages.score_stage import ScoreStage
from scheduler.store.rows import Row
from scheduler.terminal.bars import StageBars
from scheduler.terminal.snapshot import RunView

Phase = Literal["planning", "waiting", "editing", "switching", "scoring", "done"]


class Progress:
    """Shows these stages, on these bars."""

    def __init__(
        self,
        bars: StageBars,
        stages: Collection[Stage],
        edit: EditStage,
        score: ScoreStage,
        *,
        categories: Iterable[str],
        heartbeat_seconds: float,
    ) -> None:
        self._bars = bars
        self._stages = stages
        self._edit = edit
        self._score = score
        self._course = Course(heartbeat_seconds)
        self._course.expect(categories)

    def note(self, rows: Iterable[Row]) -> None:
        """These rows go into the ledger."""
        self._course.note(rows)

    def adopt(self, remaining: Remaining) -> None:
        """An earlier part of the run has scores already."""
        for category, (count, total) in remaining.sums.items():
            self._course.scored(category, total, count)

    def show(
        self,
        phase: Phase,
        doing: str,
        *,
        planned: bool,
        pool: Callable[[], Iterable[m.WorkerStatus]],
        client_of: Callable[[str], WorkerClient | None],
    ) -> None:
        """Show how it stands. ``doing`` is what the run does where it neither edits nor scores; with ``planned`` it is
        known what there is to do.
        """

        def view() -> RunView:
            return self._course.view(pool(), client_of, self._edit, self._score, phase=doing)

        self._bars.look(view)
        if not planned:
            return
        edit, score = self._edit, self._score
        if phase in ("editing", "waiting") and "edit" in self._stages:
            rounds = (edit.round + 1, edit.last_round + 1) if edit.round >= 0 else (None, None)
            self._bars.update(
                "edit",
                done=edit.reused + edit.done + edit.failed,
                failed=edit.failed,
                round=rounds[0],
                rounds=rounds[1],
                working=edit.done + edit.failed > 0 or bool(edit.at_work()),
            )
        if "score" in self._stages:
            self._bars.update(
                "score",
                done=score.reused + score.done + score.failed,
                failed=score.failed,
                working=score.done + score.failed > 0 or bool(score.at_work()),
            )

    def finish(self, stage: Stage) -> None:
        """The stage is over."""
        self._bars.finish(stage)
