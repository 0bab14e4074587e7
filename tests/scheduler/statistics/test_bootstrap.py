"""Intervals by a bootstrap: as wide as theory says, always the same, and none where chance decides what there is."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.statistics.bootstrap import DRAWS, MIN_DRAWS, bootstrap_intervals
from scheduler.statistics.describe import describe


def mean_of(values: Sequence[float]) -> Mapping[str, float | None]:
    return {"mean": fmean(values)}


def by_group(items: Sequence[tuple[str, float]]) -> dict[str, float | None]:
    """The mean of each group, and the mean of these means."""
    groups: dict[str, list[float]] = {}
    for group, value in items:
        groups.setdefault(group, []).append(value)
    means: dict[str, float | None] = {name: fmean(groups[name]) if name in groups else None for name in "abc"}
    return {**means, "all": fmean([value for value in means.values() if value is not None])}


def test_the_interval_of_a_plain_mean_is_that_of_student_s_t() -> None:
    generator = random.Random(7)  # noqa: S311 - statistics
    scores = [generator.gauss(5, 2) for _ in range(300)]
    low, high = bootstrap_intervals(scores, mean_of)["mean"]
    expected = describe(scores).ci95
    assert expected is not None
    assert (low, high) == pytest.approx(expected, abs=0.05)


def test_the_same_items_give_the_same_interval() -> None:
    items = [("a" if n % 3 else "b", float(n % 7)) for n in range(50)]
    assert bootstrap_intervals(items, by_group) == bootstrap_intervals(items, by_group)


def test_a_mean_of_group_means_is_drawn_over_items_of_all_groups() -> None:
    generator = random.Random(3)  # noqa: S311 - statistics
    items = [
        (group, generator.gauss(5, 2)) for group, count in (("a", 200), ("b", 200), ("c", 10)) for _ in range(count)
    ]
    intervals = bootstrap_intervals(items, by_group)
    widths = {name: high - low for name, (low, high) in intervals.items()}
    # The variance of the mean of three means is a ninth of the sum of theirs; the small group decides it.
    assert widths["all"] == pytest.approx(math.sqrt(sum(widths[name] ** 2 for name in "abc")) / 3, rel=0.15)
    assert widths["c"] > 3 * widths["a"]


def test_a_number_that_is_missing_or_on_a_single_item_has_no_interval() -> None:
    items = [("a", 1.0), ("a", 2.0), ("a", 4.0), ("a", 3.0), ("b", 7.0)]
    assert set(bootstrap_intervals(items, by_group)) == {"a", "all"}
    assert bootstrap_intervals(items[:1], by_group) == {}
    assert bootstrap_intervals([], lambda _: {"mean": None}) == {}


def test_many_items_are_drawn_less_often_and_items_that_cost_more_too() -> None:
    draws = []

    def count(items: Sequence[int]) -> dict[str, float | None]:
        draws.append(len(items))
        return {"n": float(len(items))}

    for items, cost, expected in ((100, 1, DRAWS), (2500, 1, 500), (625, 4, 500), (20_000, 1, MIN_DRAWS)):
        draws.clear()
        bootstrap_intervals(range(items), count, cost=cost)
        assert draws == [items] * (expected + 1)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_an_interval_of_a_mean_lies_within_the_values(values: list[float]) -> None:
    low, high = bootstrap_intervals(values, mean_of, cost=1000)["mean"]
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= low <= high <= max(values) + slack


def test_a_thousand_draws_of_a_large_benchmark_take_seconds_at_most() -> None:
    items = [("abc"[n % 3], float(n % 11)) for n in range(1212)]
    started = time.process_time()
    assert len(bootstrap_intervals(items, by_group)) == 4
    assert time.process_time() - started < 5
