"""Builds the ledger's rows of the score stage from batches and a reward's judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol import messages as m
from scheduler.base.text import counted
from scheduler.benchmark.units import ScoreUnit
from scheduler.stages.edit_rows import MAX_MESSAGE
from scheduler.stages.task import Task
from scheduler.statistics.describe import combine
from scheduler.store.rows import FailedRow, ScoredRow


@dataclass(frozen=True)
class ScoreJob:
    """A batch as it was sent to a reward. ``attempts`` are in the order of ``units``."""

    worker: str
    device: str
    batch: int
    units: tuple[ScoreUnit, ...]
    attempts: tuple[int, ...]

    @property
    def name(self) -> str:
        """The job's name on the wire."""
        return job_name(self.batch)


def job_name(batch: int) -> str:
    """Return the name on the wire of the batch with this number."""
    return f"batch-{batch}"


def judged_row(
    task: Task,
    job: ScoreJob,
    unit: ScoreUnit,
    judgements: Sequence[m.Judgement],
    message: m.Scored,
    identity: str,
) -> ScoredRow | FailedRow:
    """Return the row of a unit whose batch was judged: its score, or why it has none."""

    def failed(kind: str, text: str) -> FailedRow:
        return failed_score(
            unit, job, kind, text, identity=identity, started=message.started, finished=message.finished
        )

    low, high = task.score_range
    aspects = task.aspects(unit)
    if len(judgements) != len(aspects):
        given, asked = counted(len(judgements), "judgement"), counted(len(aspects), "prompt")
        return failed("error", f"the reward gave {given} for {asked}")
    scores: dict[str, float] = {}
    for aspect, judgement in zip(aspects, judgements, strict=True):
        if judgement.score is None:
            reply = f" - the reply was: {judgement.response}" if judgement.response else ""
            return failed(judgement.kind or "error", f"{judgement.message or 'the reward gave no judgement'}{reply}")
        if not low <= judgement.score <= high:
            return failed("out_of_range", f"a score of {judgement.score}, outside of {low:g} to {high:g}")
        scores[aspect] = judgement.score
    rule = task.combine(unit)
    return ScoredRow(
        **unit.edit._asdict(),
        pass_=unit.pass_,
        attempt=_attempt(job, unit),
        worker=job.worker,
        device=job.device,
        batch=job.batch,
        started=message.started,
        finished=message.finished,
        identity=identity,
        score=combine(scores, rule or "mean", low),
        aspects=scores if rule else None,
        response="\n".join(judgement.response for judgement in judgements if judgement.response is not None) or None,
        method=judgements[0].method or "own",
    )


def failed_score(
    unit: ScoreUnit,
    job: ScoreJob | None,
    kind: str,
    message: str,
    *,
    identity: str | None,
    started: float | None = None,
    finished: float | None = None,
) -> FailedRow:
    """Return the row of a score that is given up; ``job`` is its last attempt, None if no reward had it."""
    return FailedRow(
        **unit.edit._asdict(),
        pass_=unit.pass_,
        attempt=_attempt(job, unit) if job else None,
        worker=job.worker if job else None,
        device=job.device if job else None,
        batch=job.batch if job else None,
        started=started,
        finished=finished,
        identity=identity,
        stage="score",
        kind=kind,
        message=message[:MAX_MESSAGE],
    )


def _attempt(job: ScoreJob, unit: ScoreUnit) -> int:
    return job.attempts[job.units.index(unit)]
