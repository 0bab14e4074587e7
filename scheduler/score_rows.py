"""The ledger's rows of the score stage, and the prompts they answer: made of pairs, edits and a reward's judgements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol import messages as m
from scheduler.benchmark.model import Pair
from scheduler.config.prompts import CategoryPrompts
from scheduler.edit_rows import MAX_MESSAGE
from scheduler.identity import score_identity
from scheduler.ledger_rows import FailedRow, ScoredRow
from scheduler.services import EditedImage
from scheduler.statistics import combine
from scheduler.units import ScoreUnit


@dataclass(frozen=True)
class SentUnit:
    """One unit of a batch: which attempt at it this is, and what the reward was asked."""

    unit: ScoreUnit
    attempt: int
    prompts: tuple[m.Prompt, ...]


@dataclass(frozen=True)
class SentBatch:
    """A batch as it was sent to one life of a reward."""

    worker: str
    device: str
    number: int
    units: tuple[SentUnit, ...]


class ScoreRows:
    """Makes the rows. ``low`` is the low end of the score range, ``with_source`` whether the reward sees the source."""

    def __init__(
        self,
        pairs: Mapping[str, Pair],
        prompts_of: Callable[[str], CategoryPrompts],
        *,
        parameters: Mapping[str, Any],
        with_source: bool,
        low: float,
    ) -> None:
        self._pairs = pairs
        self._prompts_of = prompts_of
        self._parameters = parameters
        self._with_source = with_source
        self._low = low

    def prompts(self, unit: ScoreUnit) -> tuple[m.Prompt, ...]:
        """What the reward is asked about the edit."""
        pair = self._pairs[unit.key]
        templates = self._prompts_of(unit.edit.category).templates
        return tuple(template.render(pair.description, pair.instruction) for template in templates)

    def judged(
        self,
        batch: SentBatch,
        sent: SentUnit,
        image: EditedImage,
        judgements: Sequence[m.Judgement],
        message: m.Scored,
        fingerprint: str,
    ) -> ScoredRow | FailedRow:
        """The row of a unit whose batch was worked on: a score, or the reason why this one got none."""
        bad = next((one for one in judgements if one.score is None), None)
        if bad is not None or len(judgements) != len(sent.prompts):
            kind = (bad.kind if bad else None) or "error"
            reason = (bad.message if bad else None) or "the reward gave no judgement"
            raw = f" - the reply was: {bad.response}" if bad and bad.response else ""
            return failed_score(
                sent.unit, batch, kind, f"{reason}{raw}", started=message.started, finished=message.finished
            )
        by_aspect = {one.aspect: one.score for one in judgements if one.score is not None}
        several = len(judgements) > 1 or judgements[0].aspect
        edit = sent.unit.edit
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
            identity=score_identity(
                image_sha256=image.sha256,
                source_sha256=self._pairs[edit.key].sha256 if self._with_source else None,
                prompts=sent.prompts,
                parameters=self._parameters,
                pass_=sent.unit.pass_,
                fingerprint=fingerprint,
            ),
            score=combine(by_aspect, self._prompts_of(edit.category).combine, self._low),
            aspects=by_aspect if several else None,
            response="\n".join(one.response for one in judgements if one.response is not None) or None,
            method=judgements[0].method or "json",
        )


def failed_score(
    unit: ScoreUnit,
    batch: SentBatch | None,
    kind: str,
    message: str,
    *,
    started: float | None = None,
    finished: float | None = None,
) -> FailedRow:
    """The row of a score that is given up; ``batch`` is the last one that it was in, None if nobody had it then."""
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
        stage="score",
        kind=kind,
        message=message[:MAX_MESSAGE],
    )
