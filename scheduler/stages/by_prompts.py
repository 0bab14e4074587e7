"""Judging by the config's prompts: one unit per judgement, whose prompts are the aspects of one score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from protocol import messages as m
from scheduler.base.text import counted
from scheduler.benchmark import Pair
from scheduler.benchmark.units import ScoreUnit, Units
from scheduler.config.prompts import CategoryPrompts, Combine
from scheduler.stages.identity import score_identity
from scheduler.stages.judging import Judging
from scheduler.stages.score_rows import ScoreJob, failed_score, result_fields, unanswered
from scheduler.statistics.describe import combine
from scheduler.store.rows import FailedRow, ScoredRow
from scheduler.store.usage import sum_usage


@dataclass(frozen=True)
class PromptJudging(Judging):
    """``parameters`` are those that a score depends on. ``with_source``: the reward sees the source image too."""

    pairs: Mapping[str, Pair]
    prompts_of: Callable[[str], CategoryPrompts]
    parameters: Mapping[str, Any]
    with_source: bool
    score_range: tuple[float, float]

    def parts(self, judgement: ScoreUnit) -> list[ScoreUnit]:
        return [judgement]

    def count(self, edits: Units) -> int:
        return len(edits) * self.passes

    def item(self, unit: ScoreUnit) -> m.ScoreItem:
        return m.ScoreItem(item=unit.job, key=unit.key, prompts=self.prompts(unit), with_source=self.with_source)

    def identity(self, unit: ScoreUnit, image_sha256: str, fingerprint: str) -> str:
        return score_identity(
            image_sha256=image_sha256,
            source_sha256=self.pairs[unit.key].sha256 if self.with_source else None,
            prompts=self.prompts(unit),
            parameters=self.parameters,
            combine=self._combine(unit),
            pass_=unit.pass_,
            fingerprint=fingerprint,
        )

    def row(
        self, job: ScoreJob, unit: ScoreUnit, answers: Sequence[m.Judgement], message: m.Scored, identity: str
    ) -> ScoredRow | FailedRow:
        usage = reduce(sum_usage, (answer.usage for answer in answers), None)

        def failed(kind: str, text: str) -> FailedRow:
            return failed_score(unit, job, kind, text, identity=identity, message=message, usage=usage)

        low, high = self.score_range
        aspects = tuple(template.aspect for template in self.prompts_of(unit.edit.category).templates)
        if len(answers) != len(aspects):
            given, asked = counted(len(answers), "judgement"), counted(len(aspects), "prompt")
            return failed("error", f"the reward gave {given} for {asked}")
        scores: dict[str, float] = {}
        for aspect, answer in zip(aspects, answers, strict=True):
            if answer.score is None:
                return failed(*unanswered(answer))
            if not low <= answer.score <= high:
                return failed("out_of_range", f"a score of {answer.score}, outside of {low:g} to {high:g}")
            scores[aspect] = answer.score
        rule = self._combine(unit)
        return ScoredRow(
            **result_fields(job, unit, message, identity),
            score=combine(scores, rule or "mean", low),
            aspects=scores if rule else None,
            response="\n".join(answer.response for answer in answers if answer.response is not None) or None,
            method=answers[0].method or "own",
            usage=usage,
        )

    def prompts(self, unit: ScoreUnit) -> list[m.Prompt]:
        """Return what the reward is asked about the edit."""
        pair = self.pairs[unit.key]
        templates = self.prompts_of(unit.edit.category).templates
        return [template.render(pair.description, pair.instruction) for template in templates]

    def _combine(self, unit: ScoreUnit) -> Combine | None:
        """Return how the aspects of this unit make one score; None if it has no aspects."""
        rules = self.prompts_of(unit.edit.category)
        several = len(rules.templates) > 1 or any(template.aspect for template in rules.templates)
        return rules.combine if several else None
