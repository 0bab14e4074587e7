"""Correlations of two lists of scores with 95% intervals, for scores with many ties.

Spearman's rho: ``atanh(rho) +- 1.96 * sqrt((1 + rho**2 / 2) / (n - 3))``, Fisher's z with the variance of Bonett &
Wright (Psychometrika 65, 2000). Their interval of Kendall's tau covers only 88% to 94% if scores are whole numbers, as
people's are. So tau-b has the jackknife's, with ``z_i`` the value of Fisher's z without pair i:
``atanh(tau) +- t(0.975, n - 2) * sqrt((n - 1) / n * sum((z_i - mean(z))**2))``.
``python -m scripts.coverage`` measures the coverage of both.

Lists that differ in length, or hold a number that is not finite, are a ``ValueError``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from scheduler.base.text import counted

MIN_FOR_INTERVAL = 4
"""Pairs that an interval needs."""

MAX_FOR_JACKKNIFE = 20_000
"""The jackknife compares each pair with every other pair. With more pairs, Kendall's tau has no interval."""

_ROUNDING = 1e-12
_NORMAL = 1.959963984540054
"""The 0.975 quantile of the normal distribution."""

Coefficient = Annotated[float, Meta(ge=-1, le=1)]


class Correlation(Struct, frozen=True):
    """A correlation and its 95% interval.

    ``value`` is null if all numbers of a list are equal, or if there are fewer than two. ``ci95`` is also null under
    four pairs, and if the ranks agree so well that there is no variance to estimate it from.
    """

    value: Coefficient | None
    ci95: tuple[Coefficient, Coefficient] | None


NO_CORRELATION = Correlation(None, None)


def spearman(first: Sequence[float], other: Sequence[float]) -> Correlation:
    """Spearman's rho: Pearson's r of the ranks. Ties have the mean of their ranks."""
    if _checked(first, other) is None:
        return NO_CORRELATION
    value = _pearson(ranks(first), ranks(other))
    count = len(first)
    if count < MIN_FOR_INTERVAL or abs(value) == 1.0:
        return Correlation(value, None)
    return Correlation(value, _interval(value, _NORMAL * math.sqrt((1 + value**2 / 2) / (count - 3))))


def kendall(first: Sequence[float], other: Sequence[float]) -> Correlation:
    """Kendall's tau-b, which corrects for ties."""
    checked = _checked(first, other)
    if checked is None:
        return NO_CORRELATION
    from scipy.stats import kendalltau

    value = _rounded(float(kendalltau(*checked).statistic))
    count = len(first)
    if not MIN_FOR_INTERVAL <= count <= MAX_FOR_JACKKNIFE or abs(value) == 1.0:
        return Correlation(value, None)
    # Ranks have the same order as the scores, and their differences never overflow.
    margin = _jackknife_margin(ranks(first), ranks(other))
    return Correlation(value, None if margin is None else _interval(value, margin))


def pearson(first: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's r, None as in ``Correlation``. Without an interval: the known ones assume normal scores."""
    checked = _checked(first, other)
    return None if checked is None else _pearson(*checked)


def ranks(scores: Sequence[float]) -> Any:
    """The ranks from 1 up, as an array of float64; equal scores share the mean of their ranks."""
    from scipy.stats import rankdata

    return rankdata(scores)


def _checked(first: Sequence[float], other: Sequence[float]) -> tuple[Any, Any] | None:
    """Both lists as arrays; None if they have no correlation."""
    import numpy as np

    if len(first) != len(other):
        raise ValueError(f"{len(first)} and {counted(len(other), 'score')} can't be paired")
    arrays = np.asarray(first, dtype=np.float64), np.asarray(other, dtype=np.float64)
    for array in arrays:
        if not np.isfinite(array).all():
            raise ValueError("a score is not a finite number")
    if len(first) < 2 or any(array.min() == array.max() for array in arrays):
        return None
    return arrays


def _pearson(first: Any, other: Any) -> float:
    x, y = _centred(first), _centred(other)
    return _rounded(float((x @ y) / math.sqrt((x @ x) * (y @ y))))


def _centred(values: Any) -> Any:
    """The values less their mean, scaled so that no sum and no square over- or underflows."""
    import numpy as np

    values = np.ldexp(values, -int(np.frexp(np.abs(values).max())[1]))  # by a power of two, which rounds nothing
    values = values - values.mean()
    return values / np.abs(values).max()


def _rounded(value: float) -> float:
    """A perfect correlation is exactly 1; a rounding error would give it an interval."""
    return math.copysign(1.0, value) if abs(value) > 1 - _ROUNDING else value


def _interval(value: float, margin: float) -> tuple[float, float]:
    centre = math.atanh(value)
    return math.tanh(centre - margin), math.tanh(centre + margin)


def _jackknife_margin(first: Any, other: Any) -> float | None:
    """Half the width of the interval of Fisher's z of tau-b; None if it cannot be estimated."""
    import numpy as np
    from scipy.special import stdtrit

    count = len(first)
    # For each pair, over all others: concordant less discordant, not tied in the first list, not tied in the other.
    agree, first_untied, other_untied = (np.empty(count) for _ in range(3))
    block = max(1, 4_000_000 // count)
    for start in range(0, count, block):
        rows = slice(start, start + block)
        x = np.sign(first[rows, None] - first[None, :])
        y = np.sign(other[rows, None] - other[None, :])
        agree[rows] = (x * y).sum(axis=1)
        first_untied[rows] = np.abs(x).sum(axis=1)
        other_untied[rows] = np.abs(y).sum(axis=1)
    squared = (first_untied.sum() - 2 * first_untied) * (other_untied.sum() - 2 * other_untied)
    if (squared <= 0).any():
        return None
    without = (agree.sum() - 2 * agree) / np.sqrt(squared)
    if (np.abs(without) > 1 - _ROUNDING).any():
        return None
    z = np.arctanh(without)
    error = math.sqrt((count - 1) / count * float(((z - z.mean()) ** 2).sum()))
    return float(stdtrit(count - 2, 0.975)) * error
