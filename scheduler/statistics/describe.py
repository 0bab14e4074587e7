"""The numbers of a report: statistics of scores, of paired differences, and one score out of several aspects.

Sums are exact: the standard library adds floats as fractions and rounds once, so the order of the scores can't change
a result, equal scores have a deviation of exactly 0, and a mean lies between minimum and maximum. Nothing is clamped.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CombineRule = Literal["mean", "min", "geometric_mean"]


@dataclass(frozen=True, slots=True)
class Description:
    """Statistics of ``num_samples`` scores, all null where there are none.

    ``std`` is the population's (ddof 0). ``ci95`` is the 95 % interval of the mean (low, high) by Student's t on the
    sample deviation (ddof 1): null under two samples, or where it goes beyond what a float holds.
    """

    mean: float | None
    std: float | None
    median: float | None
    min: float | None
    max: float | None
    num_samples: int
    ci95: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Statistics of ``num_pairs`` differences of scores of the same pairs, null where there are none.

    ``std`` is the population's, as for scores. ``ci95`` is the 95 % interval of the mean difference by Student's t (on
    the sample deviation): null under two pairs. ``wins``, ``ties`` and
    ``losses`` count differences above, at and below exactly 0. ``sign_test_p`` is the two-sided p-value of the exact
    sign test, that wins and losses are equally likely; ties say nothing about that and are left out of it.
    """

    num_pairs: int
    mean: float | None
    std: float | None
    ci95: tuple[float, float] | None
    wins: int
    ties: int
    losses: int
    sign_test_p: float | None


def describe(scores: Sequence[float]) -> Description:
    """Describe scores, in any order.

    Raises:
        ValueError: a score is not finite.
    """
    # Adding 0.0 turns -0.0 into 0.0, whose place among zeros would otherwise depend on the order.
    ordered = sorted(_finite(score) + 0.0 for score in scores)
    if not ordered:
        return Description(mean=None, std=None, median=None, min=None, max=None, num_samples=0, ci95=None)
    count = len(ordered)
    return Description(
        mean=mean(ordered),
        std=statistics.pstdev(ordered),
        median=mean(ordered[(count - 1) // 2 : count // 2 + 1]),
        min=ordered[0],
        max=ordered[-1],
        num_samples=count,
        ci95=_interval_of_mean(ordered),
    )


def describe_differences(differences: Sequence[float]) -> PairedDifference:
    """Describe the differences of pairs, in any order.

    Raises:
        ValueError: a difference is not finite.
    """
    described = describe(differences)
    wins = sum(difference > 0 for difference in differences)
    losses = sum(difference < 0 for difference in differences)
    return PairedDifference(
        num_pairs=described.num_samples,
        mean=described.mean,
        std=described.std,
        ci95=described.ci95,
        wins=wins,
        ties=described.num_samples - wins - losses,
        losses=losses,
        sign_test_p=_sign_test(wins, losses),
    )


def mean(values: Sequence[float]) -> float:
    """Return the exact mean, rounded once.

    Raises:
        ValueError: there is nothing to average, or a value is not finite.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    if len(values) == 1:
        return _finite(values[0])
    return float(statistics.mean([_finite(value) for value in values]))


def combine(aspects: Mapping[str, float], rule: CombineRule, low: float) -> float:
    """Make one score of the scores of several aspects (name to score). ``low`` is the bottom of the score range.

    ``geometric_mean`` is the plain one, so one aspect at 0 makes the whole 0. A range that begins below 0 has no
    geometric mean; there the scores are measured from ``low``: ``low + (product of (score - low)) ** (1 / n)``, and
    one aspect at ``low`` makes the whole ``low``.

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
    # Relative to the highest, so that equal aspects give exactly themselves and no product under- or overflows.
    highest = max(heights)
    logs = [math.log(height) - math.log(highest) for height in heights]
    return base + highest * math.exp(math.fsum(logs) / len(logs))


def _interval_of_mean(scores: Sequence[float]) -> tuple[float, float] | None:
    count = len(scores)
    if count < 2:
        return None
    from scipy.special import stdtrit

    centre = mean(scores)
    try:
        margin = float(stdtrit(count - 1, 0.975)) * statistics.stdev(scores) / math.sqrt(count)
    except OverflowError:
        return None
    low, high = centre - margin, centre + margin
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _sign_test(wins: int, losses: int) -> float | None:
    """The exact two-sided p-value; both tails are alike at a probability of one half."""
    if not wins + losses:
        return None
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite score")
    return float(value)
