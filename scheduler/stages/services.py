"""What the parts of a run's loop share: its settings, its end, what the two stages need of it and pass on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from protocol import messages as m
from scheduler.pool.worker_client import WorkerClient
from scheduler.store.delivery import Item
from scheduler.store.rows import StageRow
from scheduler.store.trace import Trace

T = TypeVar("T")


class Services(Protocol):
    """The loop, as its stages see it. All of it is called, and calls back, in the loop's thread."""

    @property
    def run(self) -> str:
        """The run's id on the wire."""

    @property
    def epoch(self) -> int:
        """The epoch of the run's lease."""

    def worker(self, name: str) -> WorkerClient | None:
        """The worker, if it lives."""

    @property
    def trace(self) -> Trace | None:
        """The run's timeline, if it was asked for."""

    def fingerprint(self, role: m.Role) -> str:
        """That of the role's model, for the whole run; known since the first of the role has joined."""

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run ``function`` in a thread that may wait for the disk, then ``then`` with its result or what it raised."""

    def deliver(self, item: Item) -> None:
        """Have this made durable."""

    def failure_recorded(self, key: str) -> None:
        """Something of this pair failed for good."""


@dataclass(frozen=True)
class EditedImage:
    """A delivered edit, ready to be scored."""

    path: str
    sha256: str


@dataclass
class StageClock:
    """What a stage costs, summed up as results come in. Seconds; device times are the workers' own."""

    started: float | None = None
    finished: float | None = None
    device_seconds: float = 0.0
    barrier_wait_seconds: float = 0.0
    workers: set[str] = field(default_factory=set)
    rounds: int = 0
    last_finished: dict[str, float] = field(default_factory=dict)

    def worked(self, worker: str, started: float, finished: float) -> None:
        """A device has done a job."""
        self.started = started if self.started is None else min(self.started, started)
        self.finished = finished if self.finished is None else max(self.finished, finished)
        self.device_seconds += max(0.0, finished - started)
        self.workers.add(worker)
        self.last_finished[worker] = finished

    def synced(self, now: float) -> None:
        """A round is over: everybody has waited since it was done with it."""
        self.rounds += 1
        self.barrier_wait_seconds += sum(max(0.0, now - finished) for finished in self.last_finished.values())
        self.last_finished.clear()

    def row(self, stage: str, *, switches: int, switch_seconds: float, now: float) -> StageRow:
        """The stage's row for the ledger."""
        wall = (self.finished or 0.0) - (self.started or 0.0)
        return StageRow(
            stage="edit" if stage == "edit" else "score",
            wall_seconds=wall,
            device_seconds=self.device_seconds,
            workers=len(self.workers),
            rounds=self.rounds,
            barrier_wait_seconds=self.barrier_wait_seconds,
            model_switches=switches,
            model_switch_seconds=switch_seconds,
            finished=now,
        )
