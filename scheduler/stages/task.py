"""What a run asks of its workers for each unit of work, and the identity of each result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from protocol.messages import Prompt
from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.config.document import Config
from scheduler.config.prompts import CategoryPrompts, Combine
from scheduler.config.requests import (
    edit_identity_parameters,
    edit_parameters,
    score_identity_parameters,
    score_parameters,
)
from scheduler.stages.identity import edit_identity, score_identity


@dataclass(frozen=True)
class Task:
    """``edit_parameters`` and ``score_parameters`` go to the workers; the two ``..._identity_parameters`` are those
    that a result depends on. ``with_source``: the reward sees the source image too. ``passes``: judgements per edit.
    """

    pairs: Mapping[str, Pair]
    prompts_of: Callable[[str], CategoryPrompts]
    seed: int
    passes: int
    edit_parameters: Mapping[str, Any]
    edit_identity_parameters: Mapping[str, Any]
    score_parameters: Mapping[str, Any]
    score_identity_parameters: Mapping[str, Any]
    with_source: bool
    score_range: tuple[float, float]

    def seed_of(self, unit: EditUnit) -> int:
        """Return the seed of a pair's n-th sample, ``seed + n``."""
        return self.seed + unit.sample

    def prompts(self, unit: ScoreUnit) -> tuple[Prompt, ...]:
        """Return what the reward is asked about the edit."""
        pair = self.pairs[unit.key]
        templates = self.prompts_of(unit.edit.category).templates
        return tuple(template.render(pair.description, pair.instruction) for template in templates)

    def aspects(self, unit: ScoreUnit) -> tuple[str, ...]:
        """Return the aspect of each prompt about the edit, in the prompts' order."""
        return tuple(template.aspect for template in self.prompts_of(unit.edit.category).templates)

    def combine(self, unit: ScoreUnit) -> Combine | None:
        """Return how the aspects of this unit make one score; None if it has no aspects."""
        rules = self.prompts_of(unit.edit.category)
        several = len(rules.templates) > 1 or any(template.aspect for template in rules.templates)
        return rules.combine if several else None

    def edit_identity(self, unit: EditUnit, fingerprint: str) -> str:
        """Return the identity of the unit's edit by the editor with this fingerprint."""
        pair = self.pairs[unit.key]
        return edit_identity(
            source_sha256=pair.sha256,
            instruction=pair.instruction,
            parameters=self.edit_identity_parameters,
            seed=self.seed_of(unit),
            fingerprint=fingerprint,
        )

    def score_identity(self, unit: ScoreUnit, image_sha256: str, fingerprint: str) -> str:
        """Return the identity of the judgement of this image by the reward with this fingerprint."""
        return score_identity(
            image_sha256=image_sha256,
            source_sha256=self.pairs[unit.key].sha256 if self.with_source else None,
            prompts=self.prompts(unit),
            parameters=self.score_identity_parameters,
            combine=self.combine(unit),
            pass_=unit.pass_,
            fingerprint=fingerprint,
        )


def build_task(config: Config, benchmark: Benchmark) -> Task:
    """Return what this config asks for every pair of this benchmark."""
    reward = config.reward_model.params
    return Task(
        pairs=benchmark.by_key,
        prompts_of=config.prompts.for_category,
        seed=config.diffusion_model.params.seed,
        passes=config.evaluation.reward_passes,
        edit_parameters=edit_parameters(config),
        edit_identity_parameters=edit_identity_parameters(config),
        score_parameters=score_parameters(config),
        score_identity_parameters=score_identity_parameters(config),
        with_source=reward.compare_with_original,
        score_range=(float(reward.score_range[0]), float(reward.score_range[1])),
    )
