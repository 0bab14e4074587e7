"""The status of a run, from its ledger and manifest alone: no clock, no process, no terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scheduler.base.stages import Stage
from scheduler.report.build import build_report
from scheduler.report.model import Report
from scheduler.run.unfinished import UnfinishedStages
from scheduler.store.results import Expected
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, PlannedRow, Row, ScoredRow
from scheduler.store.run_names import started_at
from scheduler.store.tally import OUTDATED
from scheduler.terminal.rate import Rate

State = Literal["running", "finished", "stopped", "unknown"]

LAST_EVENTS = 5


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Edits or scores: done, failed, and how many there will be in all (a failed edit gets no scores).

    ``per_second`` is the present rate and ``seconds_left`` follows from it; both are None while there is no rate.
    """

    done: int
    failed: int
    total: int
    per_second: float | None
    seconds_left: float | None


@dataclass(slots=True)
class WorkerProgress:
    """How many edits or scores a worker has done in the present part of the run, and when it finished the last."""

    device: str | None
    done: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Of a run that no process works on: ``stopped`` if pairs are missing, else ``finished``; ``unknown``: the file
    system cannot say whether a process works on it. ``events`` are the last results and failures, the newest last.
    """

    state: State
    report: Report
    stages: Mapping[Stage, StageProgress]
    rounds: int
    begun: bool
    workers: Mapping[str, WorkerProgress]
    last_failure: FailedRow | None
    events: tuple[Row, ...]


@dataclass
class _Watch:
    """Watches rows on their way to the report. ``since``: when the present part of the run began."""

    since: float
    began: dict[Stage, float] = field(default_factory=dict)
    finished: dict[Stage, list[float]] = field(default_factory=lambda: {"edit": [], "score": []})
    workers: dict[str, WorkerProgress] = field(default_factory=dict)
    last_failure: FailedRow | None = None
    events: deque[Row] = field(default_factory=lambda: deque(maxlen=LAST_EVENTS))

    def pass_on(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            match row:
                case EditedRow():
                    self._done("edit", row)
                case ScoredRow() | AnsweredRow():
                    self._done("score", row)
                case FailedRow() if row.kind != OUTDATED:
                    self.last_failure = row
                case _:
                    pass
            if not isinstance(row, PlannedRow) and not (isinstance(row, FailedRow) and row.kind == OUTDATED):
                self.events.append(row)
            yield row

    def _done(self, stage: Stage, row: EditedRow | AnsweredRow | ScoredRow) -> None:
        started, finished = row.started, row.finished
        if started is None or finished is None or finished < self.since:
            return
        self.began[stage] = min(started, self.began.get(stage, started))
        self.finished[stage].append(finished)
        if row.worker is not None:
            worker = self.workers.setdefault(row.worker, WorkerProgress(row.device))
            worker.done += 1
            worker.last = max(worker.last, finished)


def run_status(
    rows: Iterable[Row], *, manifest: Mapping[str, Any], expected: Expected, running: bool | None, now: float
) -> RunStatus:
    """``running``: whether a process works on the run, None if that is not known; ``now``: epoch seconds.

    The rate covers the last minute, or the last 20 results where those took longer, of the present part alone.
    """
    watch, unfinished = _Watch(started_at(manifest)), UnfinishedStages()
    report = build_report(watch.pass_on(unfinished.pass_on(rows)), manifest=manifest, expected=expected)
    rounds = (report.performance.rounds or 0) + sum(row.rounds for row in unfinished.rows())
    return RunStatus(
        state=_state(report, running),
        report=report,
        stages=_stages(report, expected, watch, now if running is not False else None),
        rounds=rounds,
        begun=bool(watch.began),
        workers=watch.workers,
        last_failure=watch.last_failure if report.failures else None,
        events=tuple(watch.events),
    )


def _state(report: Report, running: bool | None) -> State:
    if running is None:
        return "unknown"
    if running:
        return "running"
    return "finished" if report.pairs and not report.overall.num_missing else "stopped"


def _stages(report: Report, expected: Expected, watch: _Watch, now: float | None) -> dict[Stage, StageProgress]:
    failed = {"load": 0, "edit": 0, "score": 0}
    for failure in report.failures:
        failed[failure.stage] += 1
    samples = [sample for pair in report.pairs for sample in pair.samples]
    edits = (len(report.pairs) - failed["load"]) * expected.samples_per_pair
    scores = (edits - failed["edit"]) * expected.reward_passes
    done = sum(sample.sha256 is not None for sample in samples)
    stages: dict[Stage, StageProgress] = {"edit": _progress("edit", done, failed["edit"], edits, watch, now)}
    if "score" in expected.stages:
        done = sum(len(sample.scores) for sample in samples)
        stages["score"] = _progress("score", done, failed["score"], scores, watch, now)
    return stages


def _progress(stage: Stage, done: int, failed: int, total: int, watch: _Watch, now: float | None) -> StageProgress:
    left = total - done - failed
    per_second = seconds_left = None
    if now is not None and stage in watch.began and left > 0:
        rate = Rate(watch.began[stage], 0)
        times = sorted(watch.finished[stage])
        for count, finished in enumerate(times, start=1):
            rate.note(finished, count)
        per_second, seconds_left = rate.per_second(now), rate.remaining(now, len(times) + left)
    return StageProgress(done=done, failed=failed, total=total, per_second=per_second, seconds_left=seconds_left)
