"""Builds the ledger's rows of the score stage from batches and a reward's judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol import messages as m
from scheduler.benchmark.units import ScoreUnit
from scheduler.stages.edit_rows import MAX_MESSAGE
from scheduler.stages.task import Task
from scheduler.statistics.describe import combine
from scheduler.store.rows import FailedRow, ScoredRow


@dataclass(frozen=True)
class SentUnit:
    """One unit of a batch, with what the reward is asked."""

    unit: ScoreUnit
    attempt: int
    prompts: tuple[m.Prompt, ...]


@dataclass(frozen=True)
class SentBatch:
    """A batch as it was sent to a reward."""

    worker: str
    device: str
    number: int
    units: tuple[SentUnit, ...]


def judged_row(
    task: Task,
    batch: SentBatch,
    sent: SentUnit,
    judgements: Sequence[m.Judgement],
    message: m.Scored,
    identity: str,
) -> ScoredRow | FailedRow:
    """Return the row of a unit whose batch was judged: its score, or why it has none."""

    def failed(kind: str, text: str) -> FailedRow:
        return failed_score(
            sent.unit, batch, kind, text, identity=identity, started=message.started, finished=message.finished
        )

    low, high = task.score_range
    if len(judgements) != len(sent.prompts):
        return failed("error", f"the reward gave {len(judgements)} judgements for {len(sent.prompts)} prompts")
    scores: dict[str, float] = {}
    for prompt, judgement in zip(sent.prompts, judgements, strict=True):
        if judgement.score is None:
            reply = f" - the reply was: {judgement.response}" if judgement.response else ""
            return failed(judgement.kind or "error", f"{judgement.message or 'the reward gave no judgement'}{reply}")
        if not low <= judgement.score <= high:
            return failed("out_of_range", f"a score of {judgement.score}, outside of {low:g} to {high:g}")
        scores[prompt.aspect] = judgement.score
    edit, rule = sent.unit.edit, task.combine(sent.unit)
    return ScoredRow(
        category=edit.category,
        pair_id=edit.pair_id,
        sample=edit.sample,
        pass_=sent.unit.pass_,
        attempt=sent.attempt,
        worker=batch.worker,
        device=batch.device,
        batch=batch.number,
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
    batch: SentBatch | None,
    kind: str,
    message: str,
    *,
    identity: str | None,
    started: float | None = None,
    finished: float | None = None,
) -> FailedRow:
    """Return the row of a score that is given up; ``batch`` is its last one, None if no reward had it."""
    attempt = next((sent.attempt for sent in batch.units if sent.unit == unit), None) if batch else None
    return FailedRow(
        category=unit.edit.category,
        pair_id=unit.edit.pair_id,
        sample=unit.edit.sample,
        pass_=unit.pass_,
        attempt=attempt,
        worker=batch.worker if batch else None,
        device=batch.device if batch else None,
        batch=batch.number if batch else None,
        started=started,
        finished=finished,
        identity=identity,
        stage="score",
        kind=kind,
        message=message[:MAX_MESSAGE],
    )
