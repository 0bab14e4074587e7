"""Parts of the variance of scores: between pairs, between edits of a pair (seeds), between passes over an edit.

A balanced nested random-effects model, ``score = mean + pair + sample within pair + pass within sample``. Its variance
components are estimated by the method of moments, the one-way nested analysis of variance (Searle, Casella & McCulloch,
"Variance Components", 1992, chapter 3). For balanced data and estimates above 0, REML gives the same. With mean squares
MS of ``pairs`` pairs, ``samples`` samples of each and ``passes`` passes of each sample:

    judging       = MS(passes)
    editing       = (MS(samples) - MS(passes)) / passes
    between_pairs = (MS(pairs) - MS(samples)) / (samples * passes)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from scheduler.statistics.describe import mean

Level = Literal["editing", "judging"]
_Positive = Annotated[int, Meta(ge=1)]
_NotNegative = Annotated[float, Meta(ge=0)]


class Component(Struct, frozen=True):
    """One part of the variance.

    The method can give an ``estimate`` below 0 where the true value is small; ``variance`` is then 0. ``std`` is the
    square root of ``variance``. ``includes`` names the parts that these scores cannot separate from this one.
    """

    variance: _NotNegative
    std: _NotNegative
    estimate: float
    includes: tuple[Level, ...]


class Variance(Struct, frozen=True):
    """The parts of the variance of ``num_pairs`` pairs, each with the same number of samples and passes.

    A part is null if it cannot be estimated: ``editing`` needs two samples of a pair, ``judging`` two passes of an
    edit, ``between_pairs`` two pairs. ``se_repeat`` is the standard error of the overall mean through editing and
    judging alone, ``sqrt((editing + judging / passes) / (pairs * samples))``: how much the mean would move if the run
    were repeated on the same pairs with other seeds. It is null if ``editing`` is.
    """

    num_pairs: _Positive
    samples_per_pair: _Positive
    reward_passes: _Positive
    between_pairs: Component | None
    editing: Component | None
    judging: Component | None
    se_repeat: _NotNegative | None


def component(estimate: float, includes: tuple[Level, ...] = ()) -> Component:
    """The part of the variance with this estimate."""
    variance = max(estimate, 0.0)
    return Component(variance=variance, std=math.sqrt(variance), estimate=estimate, includes=includes)


def variance_components(scores: Sequence[Sequence[Sequence[float]]]) -> Variance | None:
    """Estimate the parts of the variance of ``scores[pair][sample][pass]``; None if each pair has only one score.

    Raises ``ValueError`` if pairs differ in their number of samples or passes, or if a score is not finite.
    """
    if not scores:
        return None
    pairs, samples, passes = len(scores), len(scores[0]), len(scores[0][0])
    if any(len(pair) != samples or any(len(sample) != passes for sample in pair) for pair in scores):
        raise ValueError("the pairs do not all have as many samples and passes")
    if samples * passes == 1:
        return None
    sample_means = [[_mean(sample) for sample in pair] for pair in scores]
    pair_means = [_mean(pair) for pair in sample_means]
    between_pairs = _mean_square(samples * passes, [mean(pair_means)] * pairs, pair_means, pairs - 1)
    between_samples = _mean_square(
        passes,
        [value for value in pair_means for _ in range(samples)],
        [value for pair in sample_means for value in pair],
        pairs * (samples - 1),
    )
    between_passes = _mean_square(
        1,
        [value for pair in sample_means for value in pair for _ in range(passes)],
        [score for pair in scores for sample in pair for score in sample],
        pairs * samples * (passes - 1),
    )
    judging = None if between_passes is None else component(between_passes)
    editing = _component(between_samples, between_passes, passes, ("judging",))
    mixed: tuple[Level, ...] = () if editing is not None else ("editing",) if passes > 1 else ("editing", "judging")
    lower = between_passes if between_samples is None else between_samples
    between = None if between_pairs is None else component((between_pairs - (lower or 0.0)) / (samples * passes), mixed)
    return Variance(
        num_pairs=pairs,
        samples_per_pair=samples,
        reward_passes=passes,
        between_pairs=between,
        editing=editing,
        judging=judging,
        se_repeat=_se_repeat(editing, judging, pairs, samples, passes),
    )


def _mean(values: Sequence[float]) -> float:
    """The exact mean. Passes mostly agree: equal values need no sum."""
    first = values[0]
    return first if all(value == first for value in values) else mean(values)


def _mean_square(weight: int, centres: Sequence[float], values: Sequence[float], freedom: int) -> float | None:
    """``weight * sum((value - centre)**2) / freedom``; None without freedom, or if a float cannot hold it."""
    if freedom < 1:
        return None
    try:
        squares = math.fsum((value - centre) ** 2 for centre, value in zip(centres, values, strict=True))
        result = weight * squares / freedom
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def _component(own: float | None, lower: float | None, count: int, includes: tuple[Level, ...]) -> Component | None:
    """The mean square less that of the level below, which it includes, per each of ``count`` scores."""
    if own is None:
        return None
    return component(own / count, includes) if lower is None else component((own - lower) / count)


def _se_repeat(
    editing: Component | None, judging: Component | None, pairs: int, samples: int, passes: int
) -> float | None:
    if editing is None:
        return None
    judging_variance = 0.0 if judging is None else judging.variance / passes
    return math.sqrt((editing.variance + judging_variance) / (pairs * samples))
