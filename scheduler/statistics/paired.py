"""Paired t tests, and their correction for how many comparisons were made.

Of many equal runs the best looks better than another by luck: with all comparisons of two among 30 of them, some
uncorrected p value is below 5% nearly always. Holm's correction holds the probability of any false difference at 5%.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

from msgspec import Struct

from scheduler.statistics.describe import Interval


class PairedTest(Struct, frozen=True):
    """The paired t test of ``num_pairs`` differences.

    ``standard_error`` is ``s / sqrt(n)`` with the sample deviation ``s`` (ddof 1). ``p`` is two-sided, and never below
    ``2 ** (1 - k)`` of ``k`` differences that are not 0: the smallest p value that the exact test of their signs can
    give. So two or three pairs that all differ alike show nothing. Both are null under two pairs, and all three if a
    float cannot hold them.
    """

    num_pairs: int
    mean_difference: float | None
    standard_error: float | None
    p: float | None
    wins: int
    ties: int
    losses: int

    def interval(self, comparisons: int = 1) -> Interval | None:
        """The 95% interval of the mean difference; of several ``comparisons``, by Bonferroni, all of them at once."""
        if self.mean_difference is None or self.standard_error is None:
            return None
        from scipy.special import stdtrit

        margin = -float(stdtrit(self.num_pairs - 1, 0.025 / comparisons)) * self.standard_error
        low, high = self.mean_difference - margin, self.mean_difference + margin
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def paired_test(differences: Sequence[float]) -> PairedTest:
    """Test whether the mean of these differences is 0."""
    count = len(differences)
    wins = sum(difference > 0 for difference in differences)
    losses = sum(difference < 0 for difference in differences)
    centre = error = p = None
    with contextlib.suppress(OverflowError, ValueError):  # of scores beyond 1e154, which no judge means
        centre = math.fsum(differences) / count if count else None
        if centre is not None and count > 1:
            squares = math.fsum((difference - centre) ** 2 for difference in differences)
            error = math.sqrt(squares / (count - 1) / count)
            p = _p(centre, error, count, wins + losses)
    return PairedTest(count, centre, error, p, wins, count - wins - losses, losses)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected by Holm's step-down method, in the same order."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, number in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[number]))
        corrected[number] = largest
    return corrected


def _p(centre: float, error: float, count: int, different: int) -> float:
    if different == 0:
        return 1.0
    from scipy.special import stdtr

    smallest = 2.0 ** (1 - different)
    p = 2.0 * float(stdtr(count - 1, -abs(centre) / error)) if error > 0 else 0.0
    return max(p, smallest)
