"""What the ledger's rows of the score stage have in common, whatever is asked about an edit."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from protocol import messages as m
from scheduler.benchmark.units import ScoreUnit
from scheduler.stages.edit_rows import MAX_MESSAGE
from scheduler.store.rows import FailedRow


class ScoreJob(Struct, frozen=True):
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


def result_fields(job: ScoreJob, unit: ScoreUnit, message: m.Scored, identity: str) -> dict[str, Any]:
    """Return the fields that the rows of all results have: which unit it is, and by whom, when and how it was made."""
    return {
        **unit.edit._asdict(),
        "pass_": unit.pass_,
        "attempt": _attempt(job, unit),
        "worker": job.worker,
        "device": job.device,
        "batch": job.batch,
        "started": message.started,
        "finished": message.finished,
        "identity": identity,
    }


def failed_score(
    unit: ScoreUnit,
    job: ScoreJob | None,
    kind: str,
    text: str,
    *,
    identity: str | None,
    message: m.Scored | None = None,
    usage: m.Usage | None = None,
) -> FailedRow:
    """Return the row of a score that is given up. ``job`` is its last attempt, None if no reward had it; ``message`` is
    the reward's, if it judged the batch.
    """
    return FailedRow(
        **unit.edit._asdict(),
        pass_=unit.pass_,
        question=unit.question or None,
        attempt=_attempt(job, unit) if job else None,
        worker=job.worker if job else None,
        device=job.device if job else None,
        batch=job.batch if job else None,
        started=message.started if message else None,
        finished=message.finished if message else None,
        identity=identity,
        stage="score",
        kind=kind,
        message=text[:MAX_MESSAGE],
        usage=usage,
    )


def unanswered(judgement: m.Judgement) -> tuple[str, str]:
    """Return the kind and the message of a judgement without a score or an answer."""
    text = judgement.message or "the reward gave no judgement"
    return judgement.kind or "error", with_reply(text, judgement.response)


def with_reply(text: str, reply: str | None) -> str:
    """Return the message of a failure, with the reply that it is about."""
    return f"{text} - the reply was: {reply}" if reply else text


def _attempt(job: ScoreJob, unit: ScoreUnit) -> int:
    return job.attempts[job.units.index(unit)]
