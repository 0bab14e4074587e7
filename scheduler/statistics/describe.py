"""Statistics of scores and of paired differences, and the score that combines several aspects.

Sums are exact: the standard library's ``statistics`` adds floats as fractions and rounds once. So the order of the
scores does not change a result, equal scores have a deviation of exactly 0, and a mean is never outside of the scores.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from scheduler.statistics.student import t95

CombineRule = Literal["mean", "min", "geometric_mean"]
Interval = tuple[float, float]


class ScoreStatistics(Struct, frozen=True):
    """Statistics of ``num_samples`` scores, all null without any.

    ``std`` is the population's, ``sqrt(sum((x - mean)**2) / n)`` (ddof 0). ``ci95`` is the 95% interval of the mean
    (low, high) by Student's t, ``mean +- t(0.975, n - 1) * s / sqrt(n)`` with the sample deviation ``s`` (ddof 1). It
    is null under two scores, or if a float cannot hold it.
    """

    mean: float | None
    std: float | None
    median: float | None
    min: float | None
    max: float | None
    num_samples: Annotated[int, Meta(ge=0)]
    ci95: Interval | None


class PairedDifference(Struct, frozen=True):
    """Statistics of the score differences of ``num_pairs`` pairs, null without any.

    ``std_difference`` is the population's deviation, ``ci95`` the 95% interval of the mean difference by Student's t,
    as in ``ScoreStatistics``. ``wins``, ``ties`` and ``losses`` count differences above, at and below exactly 0.
    ``sign_test_p`` is the two-sided p-value of the exact sign test, ``min(1, 2 * P(X <= min(wins, losses)))`` for
    ``X ~ Binomial(wins + losses, 1/2)``; ties are left out of it.
    """

    num_pairs: int
    mean_difference: float | None
    std_difference: float | None
    ci95: Interval | None
    wins: int
    ties: int
    losses: int
    sign_test_p: float | None


def describe(scores: Sequence[float]) -> ScoreStatistics:
    """Describe scores, in any order. Raises ``ValueError`` if one is not finite."""
    # Adding 0.0 turns -0.0 into 0.0, whose place among zeros would otherwise depend on the order.
    ordered = sorted(_finite(score) + 0.0 for score in scores)
    if not ordered:
        return ScoreStatistics(mean=None, std=None, median=None, min=None, max=None, num_samples=0, ci95=None)
    count = len(ordered)
    return ScoreStatistics(
        mean=mean(ordered),
        std=statistics.pstdev(ordered),
        median=mean(ordered[(count - 1) // 2 : count // 2 + 1]),
        min=ordered[0],
        max=ordered[-1],
        num_samples=count,
        ci95=_interval_of_mean(ordered),
    )


def describe_differences(differences: Sequence[float]) -> PairedDifference:
    """Describe the differences of pairs, in any order. Raises ``ValueError`` if one is not finite."""
    described = describe(differences)
    wins = sum(difference > 0 for difference in differences)
    losses = sum(difference < 0 for difference in differences)
    return PairedDifference(
        num_pairs=described.num_samples,
        mean_difference=described.mean,
        std_difference=described.std,
        ci95=described.ci95,
        wins=wins,
        ties=described.num_samples - wins - losses,
        losses=losses,
        sign_test_p=_sign_test(wins, losses),
    )


def mean(values: Sequence[float]) -> float:
    """Return the exact mean, rounded once. Raises ``ValueError`` without values, or if one is not finite."""
    if not values:
        raise ValueError("a mean needs at least one value")
    if len(values) == 1:
        return _finite(values[0])
    return float(statistics.mean([_finite(value) for value in values]))


def combine(aspects: Mapping[str, float], rule: CombineRule, low: float) -> float:
    """Combine the scores of several aspects (name to score) into one. ``low`` is the lower end of the score range.

    ``geometric_mean`` is ``(product of scores) ** (1 / n)``, so one aspect with 0 makes the result 0. If the range
    begins below 0, the scores are measured from ``low``: ``low + (product of (score - low)) ** (1 / n)``, and one
    aspect with ``low`` makes the result ``low``.

    Raises:
        ValueError: no aspects, a score that is not finite, or for ``geometric_mean`` one below both 0 and ``low``.
    """
    if not aspects:
        raise ValueError("there are no aspect scores to combine")
    for name, score in aspects.items():
        if not math.isfinite(score):
            raise ValueError(f"the score of aspect {name!r} is {score}, not a finite number")
    values = list(aspects.values())
    match rule:
        case "mean":
            return mean(values)
        case "min":
            return float(min(values))
        case "geometric_mean":
            return _geometric_mean(aspects, min(low, 0.0))
    raise ValueError(f"combine: {rule!r} is none of mean, min, geometric_mean")


def _geometric_mean(aspects: Mapping[str, float], base: float) -> float:
    for name, score in aspects.items():
        if score < base:
            raise ValueError(f"the score of aspect {name!r} is {score}: geometric_mean takes none below {base:g}")
    heights = [score - base for score in aspects.values()]
    if min(heights) == 0.0:
        return base
    # Relative to the highest: equal aspects then give exactly their score, and no product under- or overflows.
    highest = max(heights)
    logs = [math.log(height) - math.log(highest) for height in heights]
    return base + highest * math.exp(math.fsum(logs) / len(logs))


def _interval_of_mean(scores: Sequence[float]) -> Interval | None:
    count = len(scores)
    if count < 2:
        return None
    centre = mean(scores)
    try:
        margin = t95(count - 1) * statistics.stdev(scores) / math.sqrt(count)
    except OverflowError:
        return None
    low, high = centre - margin, centre + margin
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _sign_test(wins: int, losses: int) -> float | None:
    """The exact two-sided p-value. Both tails are equal, because the probability is one half."""
    if not wins + losses:
        return None
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite score")
    return float(value)
