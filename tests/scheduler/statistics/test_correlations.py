"""Rank correlations against scipy, against counting by hand, and their intervals against simulation."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.statistics.correlations import Correlation, kendall, pearson, ranks, spearman

FIRST = [7.0, 5.5, 8.0, 6.0, 9.0, 4.0, 7.5, 3.0, 6.5, 5.0]
OTHER = [4.0, 3.0, 3.0, 4.0, 5.0, 2.0, 4.0, 2.0, 2.0, 3.0]

plausible = st.floats(min_value=-1e6, max_value=1e6)


def interval(correlation: Correlation) -> tuple[float, float]:
    assert correlation.ci95 is not None
    return correlation.ci95


@pytest.mark.parametrize("count", [3, 5, len(FIRST)])
def test_correlations_agree_with_scipy(count: int) -> None:
    from scipy import stats

    first, other = FIRST[:count], OTHER[:count]
    assert spearman(first, other).value == pytest.approx(stats.spearmanr(first, other).statistic, rel=1e-12)
    assert kendall(first, other).value == pytest.approx(stats.kendalltau(first, other).statistic, rel=1e-12)
    assert pearson(first, other) == pytest.approx(stats.pearsonr(first, other).statistic, rel=1e-12)


def test_taus_ties_are_those_of_tau_b() -> None:
    pairs = list(itertools.combinations(zip(FIRST, OTHER, strict=True), 2))
    signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in pairs]
    untied = [sum(x != 0 for x, _ in signs), sum(y != 0 for _, y in signs)]
    assert kendall(FIRST, OTHER).value == pytest.approx(sum(a * b for a, b in signs) / math.sqrt(math.prod(untied)))
    assert untied == [45, 36]


def test_ties_share_the_mean_of_their_ranks() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0, 3.0]).tolist() == [4.0, 1.0, 4.0, 2.0, 4.0]


def test_spearmans_interval_is_that_of_bonett_and_wright() -> None:
    correlation = spearman(FIRST, OTHER)
    assert correlation.value is not None
    margin = 1.959963984540054 * math.sqrt((1 + correlation.value**2 / 2) / 7)
    centre = math.atanh(correlation.value)
    assert interval(correlation) == pytest.approx((math.tanh(centre - margin), math.tanh(centre + margin)), rel=1e-12)


def test_taus_interval_is_the_jackknife_done_by_leaving_each_pair_out() -> None:
    from scipy import stats

    correlation = kendall(FIRST, OTHER)
    count = len(FIRST)
    left_out = [
        math.atanh(kendall(FIRST[:place] + FIRST[place + 1 :], OTHER[:place] + OTHER[place + 1 :]).value or 0)
        for place in range(count)
    ]
    centre = sum(left_out) / count
    error = math.sqrt((count - 1) / count * sum((z - centre) ** 2 for z in left_out))
    margin = stats.t.ppf(0.975, count - 2) * error
    z = math.atanh(correlation.value or 0)
    assert interval(correlation) == pytest.approx((math.tanh(z - margin), math.tanh(z + margin)), rel=1e-9)


def test_the_jackknife_is_the_same_in_several_blocks() -> None:
    rng = np.random.default_rng(3)
    first, other = rng.integers(0, 10, (2, 3000)).astype(float)
    low, high = interval(kendall(first.tolist(), other.tolist()))
    # Independent scores: the large-sample error of tau is sqrt(4 / 9n), more by ties.
    assert -0.06 < low < 0 < high < 0.06
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(4 / 9 / 3000) / 0.9, rel=0.1)


@pytest.mark.parametrize("scores", [[], [1.0], [2.0, 2.0, 2.0]])
def test_without_different_scores_there_is_no_correlation(scores: list[float]) -> None:
    rising = [float(number) for number in range(len(scores))]
    assert spearman(scores, rising) == kendall(rising, scores) == Correlation(None, None)
    assert pearson(scores, rising) is None


def test_perfect_agreement_has_no_interval_and_neither_have_three_pairs() -> None:
    rising = [float(number) for number in range(20)]
    assert spearman(rising, rising) == kendall(rising, rising) == Correlation(1.0, None)
    assert spearman(rising, rising[::-1]) == kendall(rising, rising[::-1]) == Correlation(-1.0, None)
    assert spearman([1.0, 2.0, 3.0], [2.0, 1.0, 3.0]) == Correlation(0.5, None)


def test_lists_that_can_not_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 1 score can't be paired"):
        spearman([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="not a finite number"):
        kendall([1.0, math.nan], [1.0, 2.0])


def test_the_intervals_cover_the_true_value_as_often_as_they_claim_for_scores_with_ties() -> None:
    from scipy import stats

    rng = np.random.default_rng(11)

    def draw(size: int) -> tuple[np.ndarray, np.ndarray]:
        one = rng.standard_normal(size)
        two = 0.5 * one + math.sqrt(0.75) * rng.standard_normal(size)
        return np.clip(np.rint(3.6 + one), 1, 5), np.clip(np.rint(7 + 1.6 * two), 0, 10)

    many = draw(300_000)
    truth = stats.spearmanr(*many).statistic, stats.kendalltau(*many).statistic
    covered = [0, 0]
    for _ in range(800):
        first, other = draw(50)
        for place, correlate in enumerate((spearman, kendall)):
            low, high = interval(correlate(first.tolist(), other.tolist()))
            covered[place] += low <= truth[place] <= high
    assert all(0.93 <= count / 800 <= 0.97 for count in covered), covered


@given(st.lists(st.tuples(plausible, plausible), max_size=20), st.randoms(use_true_random=False))
def test_whatever_the_scores_are_a_correlation_is_one_and_lies_in_its_interval(
    pairs: list[tuple[float, float]], order: random.Random
) -> None:
    first, other = [x for x, _ in pairs], [y for _, y in pairs]
    assert -1 <= (pearson(first, other) or 0.0) <= 1
    for correlate in (spearman, kendall):
        correlation = correlate(first, other)
        if correlation.value is None:
            continue
        assert -1 <= correlation.value <= 1
        if correlation.ci95 is not None:
            assert -1 <= correlation.ci95[0] <= correlation.value <= correlation.ci95[1] <= 1
        shuffled = order.sample(pairs, len(pairs))
        again = correlate([x for x, _ in shuffled], [y for _, y in shuffled])
        assert again.value == pytest.approx(correlation.value, abs=1e-12)


@pytest.mark.parametrize("largest", [1e154, 1e308])
def test_the_largest_scores_that_there_are_correlate_like_any_others(largest: float) -> None:
    first = [-largest, 1.0, 3.0, largest, 0.0, largest]
    other = [1.0, -largest, largest, largest, 2.0, -largest]
    small = [[score / largest for score in scores] for scores in (first, other)]
    assert pearson(first, other) == pytest.approx(pearson(*small), abs=1e-12)
    tau = kendall(first, other)
    assert tau.ci95 is not None
    assert all(-1 <= end <= 1 for end in tau.ci95)
