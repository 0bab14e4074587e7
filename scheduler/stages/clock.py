"""The times of a stage, from which its row in the ledger is made."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from msgspec import Struct, field

from scheduler.base.stages import Stage
from scheduler.store.rows import StageRow

_REMEMBERED_SPANS = 1000


class BusyTime:
    """The time in which a worker had work, from spans that may overlap and come in any order, the later ones mostly
    last.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        # Disjoint and ordered, the last ones only.
        self._starts: list[float] = []
        self._ends: list[float] = []

    def add(self, started: float, finished: float) -> None:
        """Add a span; what others have covered counts once."""
        finished = max(started, finished)
        first, last = bisect_left(self._ends, started), bisect_right(self._starts, finished)
        covered = zip(self._starts[first:last], self._ends[first:last], strict=True)
        self.seconds -= sum(end - start for start, end in covered)
        if first < last:
            started, finished = min(started, self._starts[first]), max(finished, self._ends[last - 1])
        self.seconds += finished - started
        self._starts[first:last], self._ends[first:last] = [started], [finished]
        if len(self._starts) > _REMEMBERED_SPANS:
            del self._starts[: _REMEMBERED_SPANS // 2], self._ends[: _REMEMBERED_SPANS // 2]


class StageClock(Struct):
    """Sums the times of a stage as results arrive. In seconds; device times are measured by the workers."""

    started: float | None = None
    finished: float | None = None
    barrier_wait_seconds: float = 0.0
    busy: dict[str, BusyTime] = field(default_factory=dict)
    rounds: int = 0
    last_finished: dict[str, float] = field(default_factory=dict)

    def worked(self, worker: str, started: float, finished: float) -> None:
        """Add a job that a device has finished."""
        self.started = started if self.started is None else min(self.started, started)
        self.finished = finished if self.finished is None else max(self.finished, finished)
        self.busy.setdefault(worker, BusyTime()).add(started, finished)
        self.last_finished[worker] = finished

    @property
    def workers(self) -> frozenset[str]:
        """Those that have finished a job."""
        return frozenset(self.busy)

    @property
    def device_seconds(self) -> float:
        """The sum over workers of the time in which each had work: requests in flight together count once."""
        return sum(busy.seconds for busy in self.busy.values())

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
