"""The times of stages that a killed part of a run could not write down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from scheduler.base.stages import Stage
from scheduler.stages.clock import StageClock
from scheduler.store.rows import AnsweredRow, EditedRow, Row, ScoredRow, StageRow


class UnfinishedStages:
    """Rebuilds, from results, the rows of stages that were killed before they could write them."""

    def __init__(self) -> None:
        self._clocks: dict[Stage, StageClock] = {}
        self._rounds: set[int] = set()

    def pass_on(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Watch the rows, and pass them on."""
        for row in rows:
            match row:
                case StageRow():
                    self._clocks.pop(row.stage, None)
                    if row.stage == "edit":
                        self._rounds.clear()
                case EditedRow() | AnsweredRow() | ScoredRow() if row.reused_from is not UNSET:
                    pass  # the work of another run
                case EditedRow():
                    if row.round is not None:
                        self._rounds.add(row.round)
                    self._worked("edit", row.worker, row.started, row.finished)
                case AnsweredRow() | ScoredRow():
                    self._worked("score", row.worker, row.started, row.finished)
                case _:
                    pass
            yield row

    def rows(self) -> list[StageRow]:
        """The stages' rows; waits at barriers and moves of models are not known."""
        rows = []
        for stage, clock in self._clocks.items():
            clock.rounds = len(self._rounds) if stage == "edit" else 0
            rows.append(clock.row(stage, switches=0, switch_seconds=0.0, now=clock.finished or 0.0))
        return rows

    def _worked(self, stage: Stage, worker: str | None, started: float | None, finished: float | None) -> None:
        if worker is not None and started is not None and finished is not None:
            self._clocks.setdefault(stage, StageClock()).worked(worker, started, finished)
