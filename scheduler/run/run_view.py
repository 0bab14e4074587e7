"""Builds the live screen's view of a run, from what the loop knows anyway.

Assignments say exactly which job a worker has; heartbeats, once a second, say how far its device is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import UNSET, Struct

from protocol import messages as m
from scheduler.stages.edit_rows import EditJob
from scheduler.stages.score_rows import ScoreJob
from scheduler.store.rows import FailedRow, Row, ScoredRow
from scheduler.store.tally import OUTDATED
from scheduler.terminal.snapshot import MeanView, RunView, WorkerActivity, WorkerView, place_of

_HEARTBEATS_UNTIL_REPORTED = 2.5
"""After this many heartbeats a worker has reported a job, if its device has begun it."""


class ShownClient(Protocol):
    """What is shown of the run's connection to a worker."""

    joined: bool
    moving_to: m.Residency | None
    state: m.WorkerState | None

    @property
    def silent(self) -> bool: ...


class _Activity(Struct, frozen=True):
    """What a worker does; ``job`` is its job's name on the wire, ``text`` is for people."""

    state: WorkerActivity
    job: str = ""
    text: str = ""


@dataclass
class ViewBuilder:
    """Counts scores and failures, and remembers when each worker began what it does."""

    heartbeat_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    last_failure: str = ""
    _sums: dict[str, tuple[int, float]] = field(default_factory=dict)
    _since: dict[str, tuple[_Activity, float]] = field(default_factory=dict)

    def note(self, rows: Iterable[Row]) -> None:
        """Count the results among rows that go into the ledger."""
        if not isinstance(rows, list):
            return  # a generator, which the delivery consumes; those hold no results
        for row in rows:
            if isinstance(row, ScoredRow) and row.reused_from is UNSET:  # the others are in the sums of the plan
                self.add_scores(row.category, row.score)
            elif isinstance(row, FailedRow) and row.kind != OUTDATED:
                self.failures += 1
                self.last_failure = f"{row.category}/{row.pair_id} ({row.stage}, {row.kind}: {row.message[:500]})"

    def expect(self, categories: Iterable[str]) -> None:
        """Show the categories' means in this order."""
        for category in categories:
            self._sums.setdefault(category, (0, 0.0))

    def add_scores(self, category: str, total: float, count: int = 1) -> None:
        """Add ``count`` scores whose sum is ``total``."""
        earlier_count, earlier_total = self._sums.get(category, (0, 0.0))
        self._sums[category] = (earlier_count + count, earlier_total + total)

    def view(
        self,
        pool: Iterable[m.WorkerStatus],
        client_of: Callable[[str], ShownClient | None],
        edits: Mapping[str, EditJob],
        scores: Mapping[str, Sequence[ScoreJob]],
        *,
        at_barrier: tuple[int, int] = (0, 0),
        phase: str = "",
    ) -> RunView:
        """The run as it is now; ``pool`` is what the launcher last reported of each worker, ``edits`` and ``scores``
        are the workers' jobs, and ``at_barrier`` says how many of how many editors wait.
        """
        now = self.clock()
        waiting, editors = at_barrier
        at_work = {name: _Activity("editing", job.name, job.unit.key) for name, job in edits.items()}
        for name, batches in scores.items():
            keys = [unit.key for batch in batches for unit in batch.units]
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            # Where several are under way, none is the worker's job.
            at_work[name] = _Activity("scoring", batches[0].name if len(batches) == 1 else "", f"{keys[0]}{more}")
        rest = {"editor": _Activity("at barrier" if waiting else "idle"), "reward": _Activity("idle")}
        workers = []
        for status in pool:
            client = client_of(status.worker_id)
            activity = _obstacle(client, status) or at_work.get(status.worker_id) or rest[status.role]
            workers.append(self._worker(status, client, activity, now))
        return RunView(
            workers=sorted(workers, key=lambda worker: place_of(worker.name)),
            phase=phase,
            at_barrier=waiting,
            editors=editors,
            failures=self.failures,
            last_failure=self.last_failure,
            means=[
                MeanView(category, count, total / count) for category, (count, total) in self._sums.items() if count
            ],
        )

    def _worker(
        self, status: m.WorkerStatus, client: ShownClient | None, activity: _Activity, now: float
    ) -> WorkerView:
        before, since = self._since.get(status.worker_id, (None, now))
        if before is None or (before.state, before.job) != (activity.state, activity.job):
            since = now
        self._since[status.worker_id] = (activity, since)
        # A client's heartbeats are newer than what the launcher passes on.
        state = client.state if client is not None else status.state
        running = state is not None and activity.job != "" and state.running == activity.job
        late = client is not None and now - since > _HEARTBEATS_UNTIL_REPORTED * self.heartbeat_seconds
        return WorkerView(
            name=status.worker_id,
            device=status.device,
            state="decoding" if activity.job and not running and late else activity.state,
            work=activity.text,
            step=state.step if running and state is not None else 0,
            steps=state.steps if running and state is not None else 0,
            seconds=now - since,
        )


def _as_reported(status: m.WorkerStatus) -> _Activity:
    """The activity of a worker that does not take part, as its launcher reports it."""
    if status.gave_up:
        return _Activity("dead")
    if not status.alive:
        return _Activity("restarting")
    if status.state is None or status.state.phase == "starting":
        return _Activity("starting")
    if status.state.phase in ("downloading", "converting"):
        return _Activity("loading", text=f"({status.state.phase})")
    states: dict[m.Phase, WorkerActivity] = {"failed": "failed", "ready": "ready"}
    return _Activity(states.get(status.state.phase, "loading"))


def _obstacle(client: ShownClient | None, status: m.WorkerStatus) -> _Activity | None:
    """What keeps the worker from work; None if it takes part."""
    if client is None:
        return _as_reported(status)
    if client.silent:
        return _Activity("silent")
    if client.moving_to is not None:
        return _Activity("moving", text=f"to {client.moving_to}")
    return None if client.joined else _as_reported(status)
