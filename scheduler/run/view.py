"""How a run stands at this moment, for the screen: put together when somebody looks, from what the loop knows anyway.

What goes by is only counted. Who is at what is told by the assignments, which are exact, and by heartbeats, which come
once a second and know how far the device is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from protocol import messages as m
from scheduler.stages.edit_rows import EditJob
from scheduler.stages.score_rows import ScoreJob
from scheduler.store.rows import FailedRow, Row, ScoredRow
from scheduler.store.tally import OUTDATED
from scheduler.terminal.snapshot import MeanView, RunView, WorkerState, WorkerView, place_of

_HEARD_WITHIN = 2.5
"""So many heartbeats after a job was given, its worker must have told of it if it had begun."""


class Edits(Protocol):
    """The edit stage, as far as it is shown."""

    @property
    def at_barrier(self) -> tuple[int, int]: ...

    def at_work(self) -> Mapping[str, EditJob]: ...


class Scores(Protocol):
    """The score stage, as far as it is shown."""

    def at_work(self) -> Mapping[str, ScoreJob]: ...


class Client(Protocol):
    """One life of a worker that the run is connected to, as far as it is shown."""

    joined: bool
    moving_to: m.Residency | None
    state: m.WorkerState | None

    @property
    def silent(self) -> bool: ...


@dataclass
class _Sum:
    count: int = 0
    total: float = 0.0


@dataclass(frozen=True)
class _At:
    """What a worker is at, as far as it is known: ``job`` names it on the wire, ``text`` for people."""

    state: WorkerState
    job: str = ""
    text: str = ""


@dataclass
class Course:
    """Scores and failures that went by, and since when each worker is at what it is at."""

    heartbeat_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    last_failure: str = ""
    _sums: dict[str, _Sum] = field(default_factory=dict)
    _since: dict[str, tuple[_At, float]] = field(default_factory=dict)

    def note(self, rows: Iterable[Row]) -> None:
        """These rows go into the ledger. What is made only as it is written holds no results, and is left alone."""
        if not isinstance(rows, list):
            return
        for row in rows:
            if isinstance(row, ScoredRow):
                self.scored(row.category, row.score)
            elif isinstance(row, FailedRow) and row.kind != OUTDATED:
                self.failures += 1
                self.last_failure = f"{row.category}/{row.pair_id} ({row.stage}, {row.kind}: {row.message[:500]})"

    def expect(self, categories: Iterable[str]) -> None:
        """Means are shown in this order."""
        for category in categories:
            self._sums.setdefault(category, _Sum())

    def scored(self, category: str, total: float, count: int = 1) -> None:
        """There is one more score, or there are several, which make so much together."""
        found = self._sums.setdefault(category, _Sum())
        found.count += count
        found.total += total

    def view(
        self,
        pool: Iterable[m.WorkerStatus],
        client_of: Callable[[str], Client | None],
        edit: Edits,
        score: Scores,
        *,
        phase: str = "",
    ) -> RunView:
        """The run as it is now; ``pool`` is what the launcher last said of each worker."""
        now = self.clock()
        waiting, editors = edit.at_barrier
        at_work = {name: _At("editing", job.name, job.unit.key) for name, job in edit.at_work().items()}
        for name, batch in score.at_work().items():
            more = f" and {len(batch.units) - 1} more" if len(batch.units) > 1 else ""
            at_work[name] = _At("scoring", batch.name, f"{batch.units[0].key}{more}")
        rest = {"editor": _At("at barrier" if waiting else "idle"), "reward": _At("idle")}
        workers = []
        for status in pool:
            client = client_of(status.worker_id)
            at = _standing(client, status) or at_work.get(status.worker_id) or rest[status.role]
            workers.append(self._worker(status, client, at, now))
        return RunView(
            workers=sorted(workers, key=lambda worker: place_of(worker.name)),
            phase=phase,
            at_barrier=waiting,
            editors=editors,
            failures=self.failures,
            last_failure=self.last_failure,
            means=[
                MeanView(name, found.count, found.total / found.count)
                for name, found in self._sums.items()
                if found.count
            ],
        )

    def _worker(self, status: m.WorkerStatus, client: Client | None, at: _At, now: float) -> WorkerView:
        before, since = self._since.get(status.worker_id, (None, now))
        if before is None or (before.state, before.job) != (at.state, at.job):
            since = now
        self._since[status.worker_id] = (at, since)
        # A client's heartbeats are newer than what the launcher passes on.
        state = client.state if client is not None else status.state
        running = state is not None and at.job != "" and state.running == at.job
        late = client is not None and now - since > _HEARD_WITHIN * self.heartbeat_seconds
        return WorkerView(
            name=status.worker_id,
            device=status.device,
            state="decoding" if at.job and not running and late else at.state,
            work=at.text,
            step=state.step if running and state is not None else 0,
            steps=state.steps if running and state is not None else 0,
            seconds=now - since,
        )


def _of_pool(status: m.WorkerStatus) -> _At:
    """One that the run is not connected to."""
    if status.gave_up:
        return _At("dead")
    if not status.alive:
        return _At("restarting")
    if status.state is None or status.state.phase == "starting":
        return _At("starting")
    states: dict[m.Phase, WorkerState] = {"failed": "failed", "ready": "ready"}
    return _At(states.get(status.state.phase, "loading"))


def _standing(client: Client | None, status: m.WorkerStatus) -> _At | None:
    """What keeps the worker from work; None if it takes part."""
    if client is None:
        return _of_pool(status)
    if client.silent:
        return _At("silent")
    if client.moving_to is not None:
        return _At("moving", text=f"to {client.moving_to}")
    return None if client.joined else _of_pool(status)
