"""What a run asks of its editors for each edit, and of its rewards about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.pairs import SourceImage
from scheduler.benchmark.units import EditUnit
from scheduler.config.document import Config
from scheduler.config.requests import (
    edit_identity_parameters,
    edit_parameters,
    score_identity_parameters,
    score_parameters,
    takes_all_sources,
)
from scheduler.protocols.prepared import PreparedProtocol
from scheduler.stages.by_prompts import PromptJudging
from scheduler.stages.by_protocol import ProtocolJudging
from scheduler.stages.identity import edit_identity
from scheduler.stages.judging import Judging


class Task(Struct, frozen=True):
    """``edit_parameters`` and ``score_parameters`` go to the workers; ``edit_identity_parameters`` are those that an
    edit depends on. ``judging`` is what is asked about the edits. ``asks_again``: the reward may answer otherwise the
    next time, so a reply that cannot be read is no final one. ``all_sources``: editors get all source images of a pair,
    not only the first.
    """

    pairs: Mapping[str, Pair]
    judging: Judging
    seed: int
    edit_parameters: Mapping[str, Any]
    edit_identity_parameters: Mapping[str, Any]
    score_parameters: Mapping[str, Any]
    asks_again: bool = False
    all_sources: bool = False

    def seed_of(self, unit: EditUnit) -> int:
        """Return the seed of a pair's n-th sample, ``seed + n``."""
        return self.seed + unit.sample

    def sources(self, unit: EditUnit) -> Sequence[SourceImage]:
        """Return the source images that the editor gets."""
        pair = self.pairs[unit.key]
        return pair.sources if self.all_sources else [pair.source]

    def source_pixels(self, unit: EditUnit) -> int:
        """Return the number of pixels of the source images that the editor gets."""
        return sum(width * height for width, height in (source.size for source in self.sources(unit)))

    def edit_identity(self, unit: EditUnit, fingerprint: str) -> str:
        """Return the identity of the unit's edit by the editor with this fingerprint."""
        pair = self.pairs[unit.key]
        return edit_identity(
            source_sha256=pair.sha256,
            instruction=pair.instruction,
            parameters=self.edit_identity_parameters,
            seed=self.seed_of(unit),
            fingerprint=fingerprint,
            further_sources=[source.sha256 for source in self.sources(unit)[1:]],
        )


def build_task(config: Config, benchmark: Benchmark, protocol: PreparedProtocol | None = None) -> Task:
    """Return what this config asks for every pair of this benchmark."""
    return Task(
        pairs=benchmark.by_key,
        judging=_judging(config, benchmark, protocol),
        seed=config.diffusion_model.params.seed,
        edit_parameters=edit_parameters(config),
        edit_identity_parameters=edit_identity_parameters(config),
        score_parameters=score_parameters(config),
        asks_again=config.reward_model.declaration.streams,
        all_sources=takes_all_sources(config),
    )


def _judging(config: Config, benchmark: Benchmark, protocol: PreparedProtocol | None) -> Judging:
    passes, parameters = config.evaluation.reward_passes, score_identity_parameters(config)
    if protocol is not None:
        return ProtocolJudging(passes, benchmark.by_key, protocol, parameters)
    reward = config.reward_model.params
    low, high = reward.score_range
    return PromptJudging(
        passes,
        benchmark.by_key,
        config.prompts.for_category,
        parameters,
        with_source=reward.compare_with_original,
        score_range=(float(low), float(high)),
    )
