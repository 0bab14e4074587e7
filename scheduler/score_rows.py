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
    """Makes the rows. ``score_range`` is lowest and highest score, ``with_source`` whether the reward sees sources."""

    def __init__(
        self,
        pairs: Mapping[str, Pair],
        prompts_of: Callable[[str], CategoryPrompts],
        *,
        parameters: Mapping[str, Any],
        with_source: bool,
        score_range: tuple[float, float],
    ) -> None:
        self._pairs = pairs
        self._prompts_of = prompts_of
        self._parameters = parameters
        self._with_source = with_source
        self._low, self._high = score_range

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

        def failed(kind: str, text: str) -> FailedRow:
            return failed_score(sent.unit, batch, kind, text, started=message.started, finished=message.finished)

        if len(judgements) != len(sent.prompts):
            return failed("error", f"the reward gave {len(judgements)} judgements for {len(sent.prompts)} prompts")
        scores: dict[str, float] = {}
        for prompt, one in zip(sent.prompts, judgements, strict=True):
            if one.score is None:
                raw = f" - the reply was: {one.response}" if one.response else ""
                return failed(one.kind or "error", f"{one.message or 'the reward gave no judgement'}{raw}")
            if not self._low <= one.score <= self._high:
                return failed("out_of_range", f"a score of {one.score}, outside of {self._low:g} to {self._high:g}")
            scores[prompt.aspect] = one.score
        edit = sent.unit.edit
        several = len(scores) > 1 or "" not in scores
        rule = self._prompts_of(edit.category).combine
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
                combine=rule if several else None,
                pass_=sent.unit.pass_,
                fingerprint=fingerprint,
            ),
            score=combine(scores, rule, self._low),
            aspects=scores if several else None,
            response="\n".join(one.response for one in judgements if one.response is not None) or None,
            method=judgements[0].method or "own",
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
