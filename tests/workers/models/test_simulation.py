"""How long simulated work takes and what breaks: decided by the pair's key, and by nothing else."""

from __future__ import annotations

import math
import statistics
import time

from workers.models.simulation import FAULT_KINDS, Simulation, hold, read_simulation, uniform

KEYS = [f"类/{n}" for n in range(3000)]
SQUARE = (1000, 1000)


def test_without_sigma_every_pair_takes_the_same_time() -> None:
    simulation = Simulation(latency_ms=200)
    assert {simulation.edit_seconds(key, SQUARE) for key in KEYS[:50]} == {0.2}


def test_the_same_pair_takes_the_same_time_in_any_order_and_object() -> None:
    first = [read_simulation({"sigma": 0.4}).edit_seconds(key, SQUARE) for key in KEYS[:50]]
    second = [read_simulation({"sigma": 0.4}).edit_seconds(key, SQUARE) for key in reversed(KEYS[:50])]
    assert first == second[::-1]
    assert len(set(first)) == 50


def test_times_are_log_normal_with_the_latency_as_median() -> None:
    simulation = Simulation(latency_ms=100, sigma=0.4)
    logs = [math.log(simulation.edit_seconds(key, SQUARE)) for key in KEYS]
    assert abs(math.exp(statistics.median(logs)) - 0.1) < 0.004
    assert abs(statistics.stdev(logs) - 0.4) < 0.02


def test_larger_sources_take_longer() -> None:
    simulation = Simulation(latency_ms=100, per_megapixel_ms=50)
    assert simulation.edit_seconds("a/1", (2000, 1000)) == 0.2


def test_a_batch_takes_its_latency_once_and_the_rest_for_each_item() -> None:
    simulation = Simulation(latency_ms=100, per_item_ms=10, per_megapixel_ms=5)
    assert math.isclose(simulation.batch_seconds([("a/1", SQUARE), ("a/2", (2000, 1000))]), 0.135)


def test_a_batch_takes_the_same_time_in_any_order() -> None:
    simulation = Simulation(latency_ms=100, per_item_ms=10, sigma=0.4)
    items = [(key, SQUARE) for key in KEYS[:4]]
    assert math.isclose(simulation.batch_seconds(items), simulation.batch_seconds(items[::-1]))


def test_a_list_of_keys_breaks_these_pairs_and_no_others() -> None:
    simulation = Simulation(faults={"hang": ["类/1"], "error": ["类/2"]})
    assert [simulation.fault(key, 0) for key in KEYS[:4]] == [None, "hang", "error", None]


def test_probabilities_are_met_and_are_independent_of_each_other() -> None:
    simulation = Simulation(faults=dict.fromkeys(FAULT_KINDS, 0.1))
    found = [simulation.fault(key, 0) for key in KEYS]
    for place, kind in enumerate(FAULT_KINDS):
        expected = 0.1 * 0.9**place
        assert abs(found.count(kind) / len(KEYS) - expected) < 0.02, kind


def test_a_probability_is_decided_by_key_and_seed() -> None:
    simulation = Simulation(faults={"oom": 0.5})
    once, again, other = ([simulation.fault(key, seed) for key in KEYS[:200]] for seed in (1, 1, 2))
    assert once == again
    assert 60 < sum(a != b for a, b in zip(once, other, strict=True)) < 140


def test_a_probability_of_0_is_never_and_of_1_is_always() -> None:
    assert not any(Simulation(faults={"crash": 0}).fault(key, 0) for key in KEYS)
    assert all(Simulation(faults={"crash": 1}).fault(key, 0) == "crash" for key in KEYS)


def test_uniform_numbers_lie_between_0_and_1() -> None:
    numbers = [uniform("x", key) for key in KEYS]
    assert 0 < min(numbers) < 0.01
    assert 0.99 < max(numbers) < 1
    assert uniform("a", "b") != uniform("ab") != uniform("a", "", "b")


def test_scores_and_times_stay_the_same_from_version_to_version() -> None:
    simulation = Simulation(sigma=0.4)
    assert simulation.score("0" * 64) == 8.02
    assert round(simulation.edit_seconds("物理/1", SQUARE), 6) == 0.083138


def test_late_steps_do_not_make_the_whole_later() -> None:
    def held_with_slow_progress() -> float:
        started = time.monotonic()

        def progress(step: int, steps: int) -> None:
            while step < steps and time.monotonic() - started < 0.05 * step + 0.04:
                pass

        hold(started, 0.2, progress)
        return time.monotonic() - started

    assert 0.2 <= min(held_with_slow_progress() for _ in range(3)) < 0.24
