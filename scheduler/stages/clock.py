"""The times of a stage, from which its row in the ledger is made."""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.base.stages import Stage
from scheduler.store.rows import StageRow


@dataclass
class StageClock:
    """Sums the times of a stage as results arrive. In seconds; device times are measured by the workers."""

    started: float | None = None
    finished: float | None = None
    device_seconds: float = 0.0
    barrier_wait_seconds: float = 0.0
    workers: set[str] = field(default_factory=set)
    rounds: int = 0
    last_finished: dict[str, float] = field(default_factory=dict)

    def worked(self, worker: str, started: float, finished: float) -> None:
        """Add a job that a device has finished."""
        self.started = started if self.started is None else min(self.started, started)
        self.finished = finished if self.finished is None else max(self.finished, finished)
        self.device_seconds += max(0.0, finished - started)
        self.workers.add(worker)
        self.last_finished[worker] = finished

    def synced(self, now: float) -> None:
        """Add the end of a round: every editor has waited since its last job."""
        self.rounds += 1
        self.barrier_wait_seconds += sum(max(0.0, now - finished) for finished in self.last_finished.values())
        self.last_finished.clear()

    def row(self, stage: Stage, *, switches: int, switch_seconds: float, now: float) -> StageRow:
        """Return the stage's row for the ledger."""
        wall = (self.finished or 0.0) - (self.started or 0.0)
        return StageRow(
            stage=stage,
            wall_seconds=wall,
            device_seconds=self.device_seconds,
            workers=len(self.workers),
            rounds=self.rounds,
            barrier_wait_seconds=self.barrier_wait_seconds,
            model_switches=switches,
            model_switch_seconds=switch_seconds,
            finished=now,
        )
