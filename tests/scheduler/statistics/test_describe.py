"""Statistics against numpy and scipy, against arithmetic done by hand, and against a changed order."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.statistics.describe import (
    PairedDifference,
    ScoreStatistics,
    combine,
    describe,
    describe_differences,
    mean,
)

SCORES = [7.3, 5.2, 9.1, 7.3, 6.0, 8.25, 7.75]
finite = st.floats(allow_nan=False, allow_infinity=False)
plausible = st.floats(min_value=-1e6, max_value=1e6)


@pytest.mark.parametrize("scores", [SCORES, SCORES[:2], [1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3], [0.0, 0.0, 10.0]])
def test_statistics_agree_with_numpy_and_scipy(scores: list[float]) -> None:
    from scipy import stats

    description = describe(scores)
    low, high = stats.t.interval(0.95, len(scores) - 1, loc=np.mean(scores), scale=stats.sem(scores))

    assert description.mean == pytest.approx(np.mean(scores), rel=1e-15)
    assert description.std == pytest.approx(np.std(scores), rel=1e-7)
    assert (description.median, description.min, description.max) == (np.median(scores), np.min(scores), np.max(scores))
    assert description.num_samples == len(scores)
    assert description.ci95 == pytest.approx((low, high), rel=1e-9)


def test_nothing_to_average_gives_null_everywhere() -> None:
    assert describe([]) == ScoreStatistics(
        mean=None, std=None, median=None, min=None, max=None, num_samples=0, ci95=None
    )


def test_one_score_has_a_deviation_of_zero_and_no_interval() -> None:
    assert describe([7.0]) == ScoreStatistics(mean=7, std=0, median=7, min=7, max=7, num_samples=1, ci95=None)


def test_a_million_away_from_zero_the_deviation_is_still_exact() -> None:
    assert describe([1e15 + 1, 1e15 + 2, 1e15 + 3]).std == math.sqrt(2 / 3)


def test_the_order_of_the_largest_and_smallest_floats_changes_nothing() -> None:
    scores = [1e308, 1.0, -1e308, 5e-324, -0.0, 0.0]
    assert len({repr(describe(order)) for order in itertools.permutations(scores)}) == 1


@given(st.lists(finite, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_scores_never_changes_a_result(scores: list[float], order: random.Random) -> None:
    shuffled = order.sample(scores, len(scores))
    assert repr(describe(shuffled)) == repr(describe(scores))


@given(st.lists(finite, min_size=1, max_size=30))
def test_every_statistic_is_finite_and_in_its_place(scores: list[float]) -> None:
    description = describe(scores)
    assert description.mean is not None
    assert description.std is not None
    assert description.median is not None
    assert (description.min, description.max) == (min(scores), max(scores))
    assert min(scores) <= description.mean <= max(scores)
    assert min(scores) <= description.median <= max(scores)
    assert 0 <= description.std <= max(map(abs, scores)) * 2
    if description.ci95 is not None:
        assert description.ci95[0] <= description.mean <= description.ci95[1]
        assert all(map(math.isfinite, description.ci95))


@given(plausible, st.integers(min_value=2, max_value=50))
def test_equal_scores_have_themselves_as_mean_and_no_deviation_at_all(score: float, count: int) -> None:
    description = describe([score] * count)
    assert (description.mean, description.std, description.ci95) == (score, 0.0, (score, score))


def test_students_interval_covers_the_mean_as_often_as_it_claims_with_few_samples() -> None:
    rng = random.Random(7)  # noqa: S311 - a simulation, not a secret
    intervals = [describe([rng.gauss(7, 1) for _ in range(8)]).ci95 for _ in range(2000)]
    covered = sum(interval is not None and interval[0] <= 7 <= interval[1] for interval in intervals)
    assert 0.935 <= covered / len(intervals) <= 0.965


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="not a finite score"):
        describe([7.0, score])
    with pytest.raises(ValueError, match="'quality' is"):
        combine({"quality": score}, "mean", 0.0)


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        mean([])


@pytest.mark.parametrize(
    ("rule", "low", "values", "combined"),
    [
        ("mean", 0.0, [2.0, 8.0], 5.0),
        ("min", 0.0, [2.0, 8.0], 2.0),
        ("geometric_mean", 0.0, [2.0, 8.0], 4.0),
        ("geometric_mean", 1.0, [1.0, 4.0], 2.0),
        ("geometric_mean", 0.0, [0.0, 10.0], 0.0),
        ("geometric_mean", -1.0, [-1.0, 1.0], -1.0),
        ("geometric_mean", -1.0, [0.0, 3.0], 1.0),
        ("geometric_mean", 0.0, [7.3, 7.3, 7.3], 7.3),
    ],
)
def test_aspects_combine_by_the_rule(rule: str, low: float, values: Sequence[float], combined: float) -> None:
    aspects = {f"aspect {number}": value for number, value in enumerate(values)}
    assert combine(aspects, rule, low) == pytest.approx(combined, rel=1e-14)  # type: ignore[arg-type]  # a plain text here


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(min_value=0, max_value=100), min_size=1, max_size=8), st.data()
)
def test_the_geometric_mean_depends_on_no_order_and_never_leaves_the_scores(
    aspects: dict[str, float], data: st.DataObject
) -> None:
    combined = combine(aspects, "geometric_mean", 0.0)
    shuffled = dict(data.draw(st.permutations(list(aspects.items()))))
    assert combine(shuffled, "geometric_mean", 0.0) == combined
    assert combined <= max(aspects.values())
    assert combined == pytest.approx(max(combined, min(aspects.values())), rel=1e-12)
    assert combined <= combine(aspects, "mean", 0.0) * (1 + 1e-12)


def test_what_can_not_be_combined_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no aspect scores"):
        combine({}, "mean", 0.0)
    with pytest.raises(ValueError, match=r"'quality' is -0.5: geometric_mean takes none below 0"):
        combine({"quality": -0.5, "fit": 3.0}, "geometric_mean", 0.0)
    with pytest.raises(ValueError, match="'median' is none of mean, min, geometric_mean"):
        combine({"quality": 1.0}, "median", 0.0)  # type: ignore[arg-type]  # what a caller may get wrong


FIRST = [7.0, 5.5, 8.0, 6.0, 9.0, 4.0, 7.5, 3.0, 6.5, 5.0]
OTHER = [7.5, 5.0, 8.0, 7.0, 9.5, 5.5, 7.5, 4.0, 6.0, 6.5]


@pytest.mark.parametrize("count", [2, 3, len(FIRST)])
def test_paired_differences_agree_with_scipy(count: int) -> None:
    from scipy import stats

    first, other = np.array(FIRST[:count]), np.array(OTHER[:count])
    difference = describe_differences((other - first).tolist())
    test = stats.ttest_rel(other, first)

    assert difference.mean_difference == pytest.approx(np.mean(other - first), rel=1e-15)
    assert difference.ci95 == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-9)
    assert (difference.wins, difference.ties, difference.losses) == (
        np.sum(other > first),
        np.sum(other == first),
        np.sum(other < first),
    )
    assert difference.sign_test_p == pytest.approx(
        stats.binomtest(difference.wins, difference.wins + difference.losses).pvalue, rel=1e-12
    )


@pytest.mark.parametrize(("wins", "losses"), [(1, 0), (0, 5), (5, 5), (6, 5), (30, 70), (9_000, 9_400), (0, 5_000)])
def test_the_sign_test_is_the_exact_binomial_one_and_ties_change_nothing(wins: int, losses: int) -> None:
    from scipy import stats

    differences = [0.25] * wins + [-3.0] * losses
    p = describe_differences(differences).sign_test_p

    assert p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, rel=1e-9)
    assert describe_differences([*differences, *([0.0] * 40)]).sign_test_p == p


def test_too_few_differences_have_no_interval_and_equal_ones_no_test() -> None:
    nothing = PairedDifference(
        num_pairs=0, mean_difference=None, std_difference=None, ci95=None, wins=0, ties=0, losses=0, sign_test_p=None
    )
    assert describe_differences([]) == nothing
    single = describe_differences([0.5])
    assert (single.mean_difference, single.ci95, single.wins) == (0.5, None, 1)
    same = describe_differences([0.0, -0.0, 0.0])
    assert (same.mean_difference, same.ci95, same.ties, same.sign_test_p) == (0.0, (0.0, 0.0), 3, None)
