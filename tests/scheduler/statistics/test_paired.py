"""Paired t tests beside those of scipy, and Holm's correction beside that of statsmodels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.statistics.describe import describe_differences
from scheduler.statistics.paired import holm, paired_test

DIFFERENCES = [0.5, -1.0, 2.0, 0.0, 1.5, 3.0, -0.5, 1.0, 0.0, 2.5, 0.25, -0.75]


def test_the_test_and_its_interval_are_those_of_scipy() -> None:
    from scipy import stats

    first = [5.0] * len(DIFFERENCES)
    other = [before + difference for before, difference in zip(first, DIFFERENCES, strict=True)]
    found = stats.ttest_rel(other, first)
    test = paired_test(DIFFERENCES)
    assert test.p == pytest.approx(found.pvalue, rel=1e-12)
    interval = test.interval()
    assert interval == pytest.approx(tuple(found.confidence_interval(0.95)), rel=1e-12)
    corrected = test.interval(15)
    assert corrected == pytest.approx(tuple(found.confidence_interval(1 - 0.05 / 15)), rel=1e-12)
    assert interval == pytest.approx(describe_differences(DIFFERENCES).ci95, rel=1e-12)
    assert (test.wins, test.ties, test.losses) == (7, 2, 3)


def test_corrected_p_values_are_those_of_statsmodels() -> None:
    # statsmodels.stats.multitest.multipletests(p_values, method="holm")[1], statsmodels 0.15.0
    p_values = [0.01, 0.04, 0.03, 0.005, 0.2, 0.9]
    assert holm(p_values) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.4, 0.9])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    corrected = holm(p_values)
    ordered = sorted(p_values)
    for p, found in zip(p_values, corrected, strict=True):
        place = ordered.index(p)
        # Equal values share the correction of the first of them: each later one is at most as large.
        steps = [min(1.0, (len(ordered) - number) * ordered[number]) for number in range(place + 1)]
        assert found == max(steps)
        assert p <= found <= min(1.0, max(p, len(p_values) * p))


def test_too_few_pairs_show_nothing_however_alike_they_are() -> None:
    assert paired_test([]).p is None
    assert paired_test([1.0]).p is None
    assert paired_test([1.0]).interval() is None
    assert paired_test([1.0, 1.0]).p == 0.5
    assert paired_test([-1.0] * 5).p == 2**-4
    assert paired_test([0.0] * 300).p == 1.0
    assert paired_test([0.0] * 297 + [1.0] * 3).p == 0.25, "three pairs that differ are no more than three pairs"
