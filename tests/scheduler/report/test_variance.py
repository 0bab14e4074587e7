"""The parts of the variance, against statsmodels and arithmetic done by hand, and where they cannot be separated."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.markdown import render_markdown
from scheduler.statistics.variance import Component, Variance, component, variance_components
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, json_of, planned, report_of, scored

# statsmodels 0.15: the mean squares from the residuals of ols y ~ 1, y ~ C(pair) and y ~ C(sample), with 5, 12 and 18
# degrees of freedom, are 10.2029444, 0.8227778 and 0.3075; MixedLM (REML, groups pair, variance component sample) gives
# 1.5635, 0.2576 and 0.3075.
SCORES = [
    [[5.6, 3.7], [4.2, 4.5], [4.7, 4.0]],
    [[8.5, 8.5], [7.8, 6.8], [8.2, 8.5]],
    [[7.8, 7.3], [7.0, 6.2], [7.3, 7.7]],
    [[6.1, 4.6], [6.8, 6.9], [6.3, 6.9]],
    [[5.6, 6.0], [6.7, 6.8], [5.5, 5.9]],
    [[6.5, 5.8], [4.8, 4.1], [4.6, 5.5]],
]


def variance_of(scores: list[list[list[float]]]) -> Variance:
    variance = variance_components(scores)
    assert variance is not None
    return variance


def estimate(component: Component | None) -> float:
    assert component is not None
    return component.estimate


def test_the_parts_are_those_of_a_nested_analysis_of_variance() -> None:
    variance = variance_of(SCORES)
    assert (variance.num_pairs, variance.samples_per_pair, variance.reward_passes) == (6, 3, 2)
    assert estimate(variance.between_pairs) == pytest.approx((10.202944444444446 - 0.8227777777777777) / 6, rel=1e-12)
    assert estimate(variance.editing) == pytest.approx((0.8227777777777777 - 0.3075) / 2, rel=1e-12)
    assert estimate(variance.judging) == pytest.approx(0.3075, rel=1e-12)
    assert estimate(variance.between_pairs) == pytest.approx(1.563468, rel=1e-3), "as REML"
    assert estimate(variance.editing) == pytest.approx(0.257631, rel=1e-3), "as REML"
    assert variance.se_repeat == pytest.approx(math.sqrt(0.8227777777777777 / 36), rel=1e-12)
    assert all(
        part is not None and part.includes == ()
        for part in (variance.between_pairs, variance.editing, variance.judging)
    )


def test_with_one_pass_editing_includes_judging_and_says_so() -> None:
    variance = variance_of([[[1.0], [3.0]], [[5.0], [7.0]], [[2.0], [6.0]]])
    assert variance.judging is None
    # Sums of squares within pairs: 2 + 2 + 8, over 3 degrees of freedom.
    assert variance.editing == component(4.0, ("judging",))
    # Means 2, 6, 4: a mean square of 2 * 8 / 2 between pairs, less 4, over 2 samples.
    assert variance.between_pairs == component(2.0)
    assert variance.se_repeat == pytest.approx(math.sqrt(4 / 6))


def test_with_one_sample_editing_is_unknown_and_included_between_pairs() -> None:
    variance = variance_of([[[1.0, 3.0]], [[5.0, 7.0]], [[2.0, 6.0]]])
    assert variance.editing is None
    assert variance.judging == component(4.0)
    assert variance.between_pairs == component(2.0, ("editing",))
    assert variance.se_repeat is None


def test_one_pair_gives_editing_and_judging_only() -> None:
    variance = variance_of([[[1.0, 1.0], [3.0, 3.0]]])
    assert variance.between_pairs is None
    assert (variance.editing, variance.judging) == (component(2.0), component(0.0))
    assert variance.se_repeat == 1.0


def test_with_one_score_of_each_pair_there_are_no_parts() -> None:
    assert variance_components([[[1.0]], [[2.0]]]) is None
    assert variance_components([]) is None


def test_pairs_with_different_numbers_of_scores_are_refused() -> None:
    for scores in ([[[1.0], [2.0]], [[1.0]]], [[[1.0, 2.0]], [[1.0]]]):
        with pytest.raises(ValueError, match="as many samples and passes"):
            variance_components(scores)


def test_a_negative_estimate_counts_as_0_and_the_report_says_so() -> None:
    # Edits of a pair have the same mean, passes differ: the estimate for editing is (0 - 2) / 2.
    variance = variance_of([[[1.0, 3.0], [3.0, 1.0]], [[5.0, 7.0], [7.0, 5.0]]])
    assert variance.editing == component(-1.0)
    assert variance.editing is not None
    assert (variance.editing.variance, variance.editing.std) == (0.0, 0.0)
    assert variance.se_repeat == pytest.approx(math.sqrt(2 / 8)), "never less than judging alone leaves"

    rows: list[Row] = [planned("1"), planned("2")]
    rows += [edited(pair, sample=sample) for pair in "12" for sample in (0, 1)]
    for pair, low in (("1", 1.0), ("2", 5.0)):
        for sample in (0, 1):
            rows += [scored(pair, low + 2 * (sample != pass_), sample=sample, pass_=pass_) for pass_ in (0, 1)]
    report = report_of(rows, samples_per_pair=2, reward_passes=2)
    assert json_of(report)["variance"]["editing"] == {
        "variance": 0.0, "std": 0.0, "estimate": -1.0, "includes": []
    }  # fmt: skip
    text = render_markdown(report, DEFAULT_METRICS)
    assert "| Editing (other seeds) | 0.00 | 0.00 | 0% |" in text
    assert "An estimate below zero is shown as 0" in text


def test_the_report_takes_the_pairs_that_are_scored_as_a_whole() -> None:
    rows: list[Row] = [planned(str(pair)) for pair in range(7)]
    for pair, of_pair in enumerate([*SCORES, SCORES[0]]):
        rows += [edited(str(pair), sample=sample) for sample in range(3)]
        for sample, passes in enumerate(of_pair):
            rows += [scored(str(pair), one, sample=sample, pass_=pass_) for pass_, one in enumerate(passes)]
    report = report_of(rows[:-1], samples_per_pair=3, reward_passes=2)
    assert report.variance == variance_components(SCORES)
    assert "| Judging (other passes) | 0.31 | 0.55 | 14% |" in render_markdown(report, DEFAULT_METRICS)
    assert report_of([planned("1"), edited("1"), scored("1", 7.0)]).variance is None


def test_over_many_runs_the_estimates_are_right_on_average() -> None:
    rng = random.Random(5)  # noqa: S311 - a simulation, not a secret
    totals = [0.0, 0.0, 0.0, 0.0]
    means = []
    for _ in range(400):
        scores = []
        for pair in range(8):
            edits = [pair + rng.gauss(0, 0.6) for _ in range(3)]
            scores.append([[edit + rng.gauss(0, 0.3) for _ in range(2)] for edit in edits])
        variance = variance_of(scores)
        assert variance.se_repeat is not None
        parts = (variance.between_pairs, variance.editing, variance.judging)
        for place, value in enumerate((*map(estimate, parts), variance.se_repeat**2)):
            totals[place] += value / 400
        means.append(sum(sum(map(sum, pair)) for pair in scores) / 48)
    assert totals == pytest.approx([6.0, 0.36, 0.09, (0.36 / 3 + 0.09 / 6) / 8], rel=0.05), "pairs fixed at 0 to 7"
    moved = sum((mean - 3.5) ** 2 for mean in means) / 400
    assert moved == pytest.approx(totals[3], rel=0.15), "what the mean really moves by, from run to run"


@given(
    st.integers(1, 4).flatmap(
        lambda passes: st.integers(1, 3).flatmap(
            lambda samples: st.lists(
                st.lists(
                    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=passes, max_size=passes),
                    min_size=samples,
                    max_size=samples,
                ),
                max_size=6,
            )
        )
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_the_scores_are_the_parts_are_finite_and_depend_on_no_order(
    scores: list[list[list[float]]], order: random.Random
) -> None:
    variance = variance_components(scores)
    shuffled = [
        [order.sample(sample, len(sample)) for sample in order.sample(pair, len(pair))]
        for pair in order.sample(scores, len(scores))
    ]
    assert repr(variance_components(shuffled)) == repr(variance)
    for part in () if variance is None else (variance.between_pairs, variance.editing, variance.judging):
        if part is not None:
            assert math.isfinite(part.estimate)
            assert part.variance >= 0
    if variance is not None and variance.se_repeat is not None:
        assert math.isfinite(variance.se_repeat)
