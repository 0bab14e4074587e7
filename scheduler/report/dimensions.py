"""The named values that scores are made of, of a sample, of a pair, of a group of pairs.

They are the dimensions of a protocol, or the aspects of ``prompts``: an aspect is a dimension that has a prompt of its
own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from scheduler.statistics.describe import ScoreStatistics, describe, mean
from scheduler.store.results import Expected, PairResult, SampleResult


def dimension_names(pairs: Iterable[PairResult]) -> list[str]:
    """The names of all dimensions, in the order of their first occurrence."""
    return list(dict.fromkeys(name for pair in pairs for name in pair.dimensions or ()))


def aspect_names(pairs: Iterable[PairResult]) -> frozenset[str]:
    """The names of those dimensions that are aspects."""
    scores = (score for pair in pairs for sample in pair.samples for score in sample.scores)
    return frozenset(name for score in scores for name in score.aspects or ())


def judged(sample: SampleResult) -> dict[int, dict[str, float | None]]:
    """The dimensions of each pass, from its score and from the answers of a pass that has no score."""
    passes: dict[int, dict[str, float | None]] = {}
    for answer in sample.answers:
        passes.setdefault(answer.pass_, {}).update(answer.dimensions)
    for score in sample.scores:
        passes.setdefault(score.pass_, {}).update(score.dimensions or {})
    return passes


def sample_dimension(sample: SampleResult, name: str, passes: int) -> float | None:
    """The dimension's mean over the passes; None if one of them does not have it."""
    values = [dimensions.get(name) for dimensions in judged(sample).values()]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return mean(known) if len(known) == passes else None


def pair_dimensions(
    pair: PairResult, expected: Expected, names: Sequence[str] = ()
) -> Mapping[str, float | None] | None:
    """The mean of each dimension over all samples and passes, ``names`` first; None where there is no dimension."""
    if not names and not any(
        sample.answers or any(each.dimensions for each in sample.scores) for sample in pair.samples
    ):
        return None
    found = (name for sample in pair.samples for dimensions in judged(sample).values() for name in dimensions)
    means: dict[str, float | None] = {}
    for name in dict.fromkeys((*names, *found)):
        values = [sample_dimension(sample, name, expected.reward_passes) for sample in pair.samples]
        known = [value for value in values if value is not None]
        means[name] = mean(known) if len(known) == expected.samples_per_pair else None
    return means or None


def describe_dimensions(pairs: Sequence[PairResult]) -> dict[str, ScoreStatistics]:
    """Statistics of each dimension over the scored pairs that have it."""
    scored = [pair.dimensions for pair in pairs if pair.status == "scored" and pair.dimensions]
    names = dict.fromkeys(name for dimensions in scored for name in dimensions)
    return {
        name: describe([value for dimensions in scored if (value := dimensions.get(name)) is not None])
        for name in names
    }
