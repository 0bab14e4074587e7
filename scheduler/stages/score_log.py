"""What the log says of judgements: a line for each batch, or for each ten seconds of rewards that stream."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol import messages as m
from scheduler.base.text import counted
from scheduler.stages.score_rows import ScoreJob

log = logging.getLogger("warmbench")

_SECONDS = 10.0


@dataclass
class ScoreLog:
    """``streams``: the batches are single requests."""

    streams: bool
    _since: float | None = None
    _judged: dict[str, int] = field(default_factory=dict)
    _scores: list[float] = field(default_factory=list)

    def judged(self, job: ScoreJob, message: m.Scored, scores: Sequence[float]) -> None:
        """A batch was judged, with these scores."""
        if not self.streams:
            if scores:
                _log(f"Batch {job.batch + 1} on {job.worker}", scores)
            if len(message.batch_sizes) > 1 and len(job.units) > 1:
                log.debug("Batch %d was split into parts of %s", job.batch + 1, message.batch_sizes)
            return
        self._since = message.finished if self._since is None else self._since
        self._judged[job.worker] = self._judged.get(job.worker, 0) + len(job.units)
        self._scores += scores
        if message.finished - self._since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Log what was not logged yet."""
        if self._judged:
            shares = ", ".join(f"{counted(count, 'request')} on {name}" for name, count in sorted(self._judged.items()))
            _log(f"Judged {shares}", self._scores)
        self._since = None
        self._judged.clear()
        self._scores.clear()


def _log(what: str, scores: Sequence[float]) -> None:
    mean = f", avg_score={sum(scores) / len(scores):.3f}" if scores else ""
    log.info("%s: %d scored%s", what, len(scores), mean)


def log_lost(worker: str, jobs: Sequence[ScoreJob], *, died: bool, reason: str | None = None) -> None:
    """Log what a lost reward had not finished."""
    what = "died" if died else reason or "is silent"
    if len(jobs) > 2:
        log.warning("%s %s; unfinished: %s", worker, what, counted(len(jobs), "batch", "batches"))
        return
    for job in jobs:
        log.warning("%s %s; unfinished: batch %d of %d", worker, what, job.batch + 1, len(job.units))
