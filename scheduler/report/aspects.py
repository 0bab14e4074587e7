"""Scores of single aspects, where a category has several: of a sample, of a pair, of a group of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from scheduler.statistics.describe import ScoreStatistics, describe, mean
from scheduler.store.results import PairResult, SampleResult


def aspect_names(pairs: Iterable[PairResult]) -> list[str]:
    """The names of all aspects, in the order of their first occurrence."""
    scores = (score for pair in pairs for sample in pair.samples for score in sample.scores)
    return list(dict.fromkeys(name for score in scores for name in score.aspects or ()))


def aspect_mean(sample: SampleResult, name: str) -> float | None:
    """The aspect's mean over the passes; None if a pass does not have it."""
    values = [(score.aspects or {}).get(name) for score in sample.scores]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return mean(known) if known and len(known) == len(values) else None


def describe_aspects(pairs: Sequence[PairResult]) -> dict[str, ScoreStatistics]:
    """Statistics of each aspect over the scored pairs that have it. A pair's value is the mean over its samples."""
    scored = [pair for pair in pairs if pair.status == "scored"]
    return {
        name: describe([value for pair in scored if (value := _pair_mean(pair, name)) is not None])
        for name in aspect_names(scored)
    }


def _pair_mean(pair: PairResult, name: str) -> float | None:
    values = [aspect_mean(sample, name) for sample in pair.samples]
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None
