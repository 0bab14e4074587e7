"""Variance told apart: between pairs, between edits of a pair (seeds), between judgements of an edit (passes).

A balanced nested random-effects model, ``score = mean + pair + sample within pair + pass within sample``, with its
components by the method of moments (one-way nested analysis of variance: Searle, Casella & McCulloch, "Variance
Components", 1992, chapter 3). Where data and estimates are balanced and not negative, REML gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.statistics.describe import mean


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the variance. ``variance`` is never negative: an ``estimate`` below 0, which the method can give
    where the true value is small, counts as 0. ``includes`` names the parts that these scores can't tell from it.
    """

    estimate: float
    includes: tuple[str, ...] = ()

    @property
    def variance(self) -> float:
        return max(self.estimate, 0.0)

    @property
    def std(self) -> float:
        return math.sqrt(self.variance)


@dataclass(frozen=True, slots=True)
class Variance:
    """The parts of the variance of ``num_pairs`` pairs, each with as many samples and passes. Null where that many
    can't tell: ``editing`` needs two samples of a pair, ``judging`` two passes of an edit, ``between_pairs`` two pairs.

    ``se_repeat`` is the standard error of the overall mean that editing and judging leave with these very pairs: how
    much it would move if the run were repeated with other seeds. Null where editing is.
    """

    num_pairs: int
    samples_per_pair: int
    reward_passes: int
    between_pairs: Component | None
    editing: Component | None
    judging: Component | None
    se_repeat: float | None


def tell_apart(scores: Sequence[Sequence[Sequence[float]]]) -> Variance | None:
    """The parts of the variance of ``scores[pair][sample][pass]``; None if there is but one score of each, or none.

    Raises:
        ValueError: pairs differ in their number of samples or passes, or a score is not finite.
    """
    if not scores:
        return None
    pairs, samples, passes = len(scores), len(scores[0]), len(scores[0][0])
    if any(len(pair) != samples or any(len(sample) != passes for sample in pair) for pair in scores):
        raise ValueError("the pairs do not all have as many samples and passes")
    if samples * passes == 1:
        return None
    edits = [[_mean(sample) for sample in pair] for pair in scores]
    means = [_mean(pair) for pair in edits]
    between_pairs = _mean_square(samples * passes, [mean(means)] * pairs, means, pairs - 1)
    between_samples = _mean_square(
        passes,
        [one for one in means for _ in range(samples)],
        [one for pair in edits for one in pair],
        pairs * (samples - 1),
    )
    between_passes = _mean_square(
        1,
        [one for pair in edits for one in pair for _ in range(passes)],
        [one for pair in scores for sample in pair for one in sample],
        pairs * samples * (passes - 1),
    )
    judging = None if between_passes is None else Component(between_passes)
    editing = _component(between_samples, between_passes, passes, ("judging",))
    mixed = ("editing",) if passes > 1 else ("editing", "judging")
    below = between_passes if between_samples is None else between_samples
    pair = _component(between_pairs, below, samples * passes, ())
    if pair is not None and editing is None:
        pair = Component(pair.estimate, mixed)
    return Variance(
        num_pairs=pairs,
        samples_per_pair=samples,
        reward_passes=passes,
        between_pairs=pair,
        editing=editing,
        judging=judging,
        se_repeat=_se_repeat(editing, judging, pairs, samples, passes),
    )


def _mean(values: Sequence[float]) -> float:
    """The exact mean; of passes that agree, as they mostly do, without the work."""
    first = values[0]
    return first if all(value == first for value in values) else mean(values)


def _mean_square(weight: int, centres: Sequence[float], values: Sequence[float], freedom: int) -> float | None:
    """``weight`` times the sum of squares over its degrees of freedom; None without any, or beyond what floats hold."""
    if freedom < 1:
        return None
    try:
        found = (
            weight * math.fsum((value - centre) ** 2 for centre, value in zip(centres, values, strict=True)) / freedom
        )
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _component(own: float | None, below: float | None, scores: int, includes: tuple[str, ...]) -> Component | None:
    """What is left of a mean square without that of the level below it, which is part of it."""
    if own is None:
        return None
    if below is None:
        return Component(own / scores, includes)
    return Component((own - below) / scores)


def _se_repeat(
    editing: Component | None, judging: Component | None, pairs: int, samples: int, passes: int
) -> float | None:
    if editing is None:
        return None
    of_judging = 0.0 if judging is None else judging.variance / passes
    return math.sqrt((editing.variance + of_judging) / (pairs * samples))
