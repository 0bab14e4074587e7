"""The scores of single aspects, where a category asks for several: of a sample, of a pair, of a group of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from scheduler.statistics.describe import Description, describe, mean
from scheduler.store.results import PairResult, SampleResult


def aspect_names(pairs: Iterable[PairResult]) -> list[str]:
    """The names of all aspects, in the order in which they come up."""
    scores = (score for pair in pairs for sample in pair.samples for score in sample.scores)
    return list(dict.fromkeys(name for score in scores for name in score.aspects or ()))


def aspect_mean(sample: SampleResult, name: str) -> float | None:
    """The aspect's mean over the passes; None where not every pass has it."""
    found = [score.aspects[name] for score in sample.scores if score.aspects and name in score.aspects]
    whole = found and len(found) == len(sample.scores) and all(map(math.isfinite, found))
    return mean(found) if whole else None


def describe_aspects(pairs: Sequence[PairResult]) -> dict[str, Description]:
    """Statistics of each aspect over the scored pairs that have it, each pair's being the mean over its samples."""
    scored = [pair for pair in pairs if pair.status == "scored"]
    found: dict[str, Description] = {}
    for name in aspect_names(scored):
        of_pairs = ([aspect_mean(sample, name) for sample in pair.samples] for pair in scored)
        found[name] = describe([mean(whole) for one in of_pairs if len(whole := _known(one)) == len(one)])
    return found


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
