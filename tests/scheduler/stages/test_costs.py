"""Pairs of similar cost share a round, and nothing but the order changes."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.units import EditUnit
from scheduler.stages.costs import CostLine, KnownCosts, by_cost
from scheduler.statistics.barrier_loss import barrier_loss

UNITS = [EditUnit("c", str(number)) for number in range(40)]
megapixels = st.floats(0.01, 80)


def learned(*edits: tuple[float, float]) -> CostLine:
    line = CostLine()
    for size, seconds in edits:
        line.note(size, seconds)
    return line


@given(st.lists(megapixels, min_size=2, max_size=50), st.floats(0, 5), st.floats(0, 10))
def test_a_straight_line_is_learned(sizes: list[float], base: float, per_megapixel: float) -> None:
    line = learned(*((size, base + per_megapixel * size) for size in sizes))
    for size in sizes:
        assert line.expected(size) == pytest.approx(base + per_megapixel * size, rel=1e-2, abs=0.02)


def test_old_edits_count_less_and_less() -> None:
    line = learned(*[(1.0, 10.0), (2.0, 20.0)] * 2000)
    for _ in range(8000):
        line.note(1.0, 1.0)
        line.note(2.0, 1.0)
    assert line.expected(2.0) == pytest.approx(1.0, abs=0.7)


def test_nothing_is_known_without_an_edit() -> None:
    assert CostLine().expected(1.0) is None
    assert CostLine().size_matters(), "larger is taken to be dearer until more is known"


@given(st.lists(st.integers(1, 10**8), min_size=40, max_size=40))
def test_the_most_expensive_come_first_and_equal_ones_keep_their_order(pixels: list[int]) -> None:
    ordered = list(by_cost(UNITS, lambda unit: pixels[int(unit.pair_id)], CostLine()))
    assert sorted(ordered) == sorted(UNITS), "the same pairs"
    numbers = [int(unit.pair_id) for unit in ordered]
    assert numbers == sorted(range(40), key=lambda number: (-pixels[number], number))


def test_where_size_makes_no_difference_the_order_stays() -> None:
    flat = learned(*((size, 1.0 + size % 0.01) for size in range(1, 30)))
    assert by_cost(UNITS, lambda unit: int(unit.pair_id), flat) is UNITS
    steep = learned(*((size, 1.0 + size) for size in range(1, 30)))
    assert next(iter(by_cost(UNITS, lambda unit: int(unit.pair_id), steep))) == UNITS[-1]


def test_sources_of_one_size_stay_in_order() -> None:
    assert by_cost(UNITS, lambda _: 512 * 512, CostLine()) is UNITS


def test_the_loss_at_barriers_is_what_the_shorter_ones_wait() -> None:
    assert barrier_loss([1.0, 3.0, 2.0, 2.0], 2) == 2.0
    assert barrier_loss([1.0, 1.0, 5.0], 2) == 0.0, "the last one is alone"
    assert barrier_loss([], 3) == 0.0


def test_in_order_of_cost_the_loss_is_small() -> None:
    random = Random(7)  # noqa: S311 - the same edits every time
    seconds = [random.lognormvariate(0, 0.6) for _ in range(600)]
    assert barrier_loss(sorted(seconds, reverse=True), 6) < barrier_loss(seconds, 6) / 10


def test_a_line_is_stored_for_later_runs_of_the_same_kind_only(tmp_path: Path) -> None:
    path = tmp_path / ".costs.json"
    KnownCosts(path).store({"steps": 4}, learned((1.0, 2.0)))
    assert KnownCosts(path).line({"steps": 4}).mean == 2.0
    assert KnownCosts(path).line({"steps": 8}).count == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"[" * 5000, b"\xff", b'{"\xff": {}}'])
def test_a_damaged_file_is_ignored(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".costs.json"
    path.write_bytes(content)
    assert KnownCosts(path).line({}).count == 0
    KnownCosts(path).store({}, learned((1.0, 2.0)))
    assert KnownCosts(path).line({}).count == 1


def test_a_folder_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    KnownCosts(tmp_path / "missing" / ".costs.json").store({}, learned((1.0, 2.0)))


@pytest.mark.parametrize("line", ['{"count": -1}', '{"count": 1, "y": -5}', '{"count": 1, "x": 1e308}'])
def test_impossible_costs_are_ignored(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".costs.json"
    KnownCosts(path).store({}, learned((1.0, 2.0)))
    (key,) = json.loads(path.read_text())
    path.write_text(f'{{"{key}": {line}}}')
    assert KnownCosts(path).line({}).count == 0
