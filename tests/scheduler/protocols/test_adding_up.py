"""Whatever the judge says, RISEBench and KRIS-Bench add it up by the same rules."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.protocols.declaration import PROTOCOLS, ItemFacts, JudgedItem, Protocol, Table
from scheduler.protocols.kris_numbers import CATEGORIES
from scheduler.protocols.risebench_numbers import CAUSAL, LOGICAL, SPATIAL, TEMPORAL

KRIS = PROTOCOLS.get("kris").make(Table({}, 0, "kris"), None)
FIRST = PROTOCOLS.get("risebench").make(Table({}, 0, "risebench"), None)
PRESENT = PROTOCOLS.get("risebench").make(Table({"reasoning_img": 1, "consistency_free": 1}, 0, "risebench_v2"), None)


@st.composite
def judged(draw: st.DrawFn) -> tuple[Protocol, list[JudgedItem]]:
    """A protocol, and items after a judgement on its scale; some may lack a score."""
    rules = draw(st.sampled_from([KRIS, FIRST, PRESENT]))
    categories = sorted(CATEGORIES) if rules is KRIS else [TEMPORAL, CAUSAL, SPATIAL, LOGICAL]
    items = []
    for number in range(draw(st.integers(0, 8))):
        category = draw(st.sampled_from(categories))
        free = rules is PRESENT and category != LOGICAL and draw(st.booleans())
        facts = {"consistency_free": True} if free else {}
        item = ItemFacts(
            category, str(number), "", task="Layout Reasoning" if category == SPATIAL else None, facts=facts
        )
        values = st.sampled_from([1.0, 5.0]) if category == LOGICAL else st.integers(1, 5).map(float)
        names = [name for group in rules.expected(item).values() for name in group]
        dimensions = {name: draw(values) for name in names}
        if draw(st.integers(0, 9)) == 0:
            items.append(JudgedItem(item, dict(list(dimensions.items())[1:]), None))
        else:
            items.append(JudgedItem(item, dimensions, rules.score(item, dimensions)))
    return rules, items


def scale(rules: Protocol, name: str) -> tuple[float, float]:
    if name.endswith("Accuracy"):
        return 0, 1
    return (0, 100) if rules is KRIS or "Percentage" in name else (1, 5)


@given(judged())
def test_numbers_are_on_their_scale_and_open_where_a_score_is_missing(case: tuple[Protocol, list[JudgedItem]]) -> None:
    rules, items = case
    numbers = rules.numbers(items)
    assert numbers.main in numbers.values
    for name, value in numbers.values.items():
        low, high = scale(rules, name)
        assert value is None or low - 1e-9 <= value <= high + 1e-9, name
    complete = bool(items) and all(item.score is not None for item in items)
    assert (numbers.values[numbers.main] is not None) == complete


@given(judged(), st.randoms())
def test_the_order_of_items_does_not_matter(case: tuple[Protocol, list[JudgedItem]], order: random.Random) -> None:
    rules, items = case
    turned: Sequence[JudgedItem] = order.sample(items, len(items))
    expected, found = rules.numbers(items), rules.numbers(turned)
    assert found.values == pytest.approx(expected.values, abs=1e-9)
    assert found.deviations == expected.deviations


@given(judged())
def test_the_percentage_is_the_score_on_another_scale(case: tuple[Protocol, list[JudgedItem]]) -> None:
    rules, items = case
    values = rules.numbers(items).values
    for name in (name for name in values if "/Score-Origin" in name):
        score, percentage = values[name], values[name.replace("Origin", "Percentage")]
        assert (score is None) == (percentage is None)
        assert score is None or percentage == pytest.approx(25 * (score - 1))


@given(judged())
def test_a_corrected_score_is_never_further_from_the_score_than_the_weight_of_consistency(
    case: tuple[Protocol, list[JudgedItem]],
) -> None:
    rules, items = case
    numbers = rules.numbers(items)
    corrected = [name for name in numbers.values if name.endswith("_corrected")]
    assert bool(corrected) == any("no weight" in sentence for sentence in numbers.deviations)
    for name in corrected:
        score, right = numbers.values[name.removesuffix("_corrected")], numbers.values[name]
        assert (score is None) == (right is None)
        if score is not None and right is not None and "Origin" in name:
            assert abs(score - right) <= 0.3 * 4 + 1e-9
