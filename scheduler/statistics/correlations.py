"""How far two lists of scores agree: rank correlations with 95 % intervals, made for scores with many ties.

Spearman's interval is Fisher's z with the variance ``(1 + rho**2 / 2) / (n - 3)`` (Bonett & Wright, Psychometrika 65,
2000). What those authors give for Kendall's tau covers 88 % to 94 % where scores are whole numbers, as people's are, so
its interval is by the jackknife of Fisher's z, with Student's t. ``python -m scripts.coverage`` measures both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FEWEST = 4
"""Pairs that an interval needs."""

MOST_FOR_JACKKNIFE = 20_000
"""It compares each pair with each other one; above this Kendall's tau has no interval."""

_ROUNDING = 1e-12
_NORMAL = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation, from -1 to 1. Null where either list is all one number, or has under two.

    ``ci95`` is null under four pairs, and where the ranks agree so well that there is nothing to estimate it from.
    """

    value: float | None
    ci95: tuple[float, float] | None = None


def spearman(first: Sequence[float], other: Sequence[float]) -> Correlation:
    """Spearman's rho, ties having the mean of their ranks.

    Raises:
        ValueError: the lists differ in length, or hold what is no finite number.
    """
    checked = _checked(first, other)
    if checked is None:
        return Correlation(None)
    value = _pearson(ranks(first), ranks(other))
    count = len(first)
    if count < FEWEST or abs(value) == 1.0:
        return Correlation(value)
    return Correlation(value, _interval(value, _NORMAL * math.sqrt((1 + value**2 / 2) / (count - 3))))


def kendall(first: Sequence[float], other: Sequence[float]) -> Correlation:
    """Kendall's tau-b.

    Raises:
        ValueError: the lists differ in length, or hold what is no finite number.
    """
    checked = _checked(first, other)
    if checked is None:
        return Correlation(None)
    from scipy.stats import kendalltau

    value = _rounded(float(kendalltau(*checked).statistic))
    count = len(first)
    if not FEWEST <= count <= MOST_FOR_JACKKNIFE or abs(value) == 1.0:
        return Correlation(value)
    # Of their ranks, which say the same and can be subtracted.
    margin = _jackknife_margin(ranks(first), ranks(other))
    return Correlation(value, None if margin is None else _interval(value, margin))


def pearson(first: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's r, without an interval: those that are known assume normal scores. Null as for the others.

    Raises:
        ValueError: the lists differ in length, or hold what is no finite number.
    """
    checked = _checked(first, other)
    return None if checked is None else _pearson(*checked)


def ranks(scores: Sequence[float]) -> Any:
    """The ranks from 1 up, as an array of float64; equal scores share the mean of their ranks."""
    from scipy.stats import rankdata

    return rankdata(scores)


def _checked(first: Sequence[float], other: Sequence[float]) -> tuple[Any, Any] | None:
    """Both as arrays; None if there is no correlation."""
    import numpy as np

    if len(first) != len(other):
        raise ValueError(f"{len(first)} and {len(other)} scores can't be paired")
    arrays = np.asarray(first, dtype=np.float64), np.asarray(other, dtype=np.float64)
    for one in arrays:
        if not np.isfinite(one).all():
            raise ValueError("a score is not a finite number")
    if len(first) < 2 or any(one.min() == one.max() for one in arrays):
        return None
    return arrays


def _pearson(first: Any, other: Any) -> float:
    one, two = _centred(first), _centred(other)
    return _rounded(float((one @ two) / math.sqrt((one @ one) * (two @ two))))


def _centred(values: Any) -> Any:
    """Less their mean, and scaled, so that no sum and no square over- or underflows."""
    import numpy as np

    values = np.ldexp(values, -int(np.frexp(np.abs(values).max())[1]))  # by a power of two, which rounds nothing
    values = values - values.mean()
    return values / np.abs(values).max()


def _rounded(value: float) -> float:
    """A perfect correlation is exactly 1: what rounding leaves of it would have an interval."""
    return math.copysign(1.0, value) if abs(value) > 1 - _ROUNDING else value


def _interval(value: float, margin: float) -> tuple[float, float]:
    centre = math.atanh(value)
    return math.tanh(centre - margin), math.tanh(centre + margin)


def _jackknife_margin(first: Any, other: Any) -> float | None:
    """Half of the interval of Fisher's z of tau-b, from its values with each pair left out in turn."""
    import numpy as np
    from scipy.special import stdtrit

    count = len(first)
    # Of each pair, over all others: concordant less discordant ones, those not tied in the first, and in the other.
    agree, first_untied, other_untied = (np.empty(count) for _ in range(3))
    block = max(1, 4_000_000 // count)
    for start in range(0, count, block):
        rows = slice(start, start + block)
        one = np.sign(first[rows, None] - first[None, :])
        two = np.sign(other[rows, None] - other[None, :])
        agree[rows] = (one * two).sum(axis=1)
        first_untied[rows] = np.abs(one).sum(axis=1)
        other_untied[rows] = np.abs(two).sum(axis=1)
    below = (first_untied.sum() - 2 * first_untied) * (other_untied.sum() - 2 * other_untied)
    if (below <= 0).any():
        return None
    without = (agree.sum() - 2 * agree) / np.sqrt(below)
    if (np.abs(without) > 1 - _ROUNDING).any():
        return None
    z = np.arctanh(without)
    error = math.sqrt((count - 1) / count * float(((z - z.mean()) ** 2).sum()))
    return float(stdtrit(count - 2, 0.975)) * error
