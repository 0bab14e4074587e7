"""The times of a stage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.stages.clock import BusyTime, StageClock

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=30)


@given(SPANS)
def test_a_worker_is_busy_while_it_has_at_least_one_request_in_flight(spans: list[tuple[int, int]]) -> None:
    busy = BusyTime()
    for started, seconds in spans:
        busy.add(started, started + seconds)
    assert busy.seconds == len({second for start, seconds in spans for second in range(start, start + seconds)})


def test_spans_are_forgotten_when_there_are_many_and_still_count() -> None:
    busy = BusyTime()
    for number in range(5000):
        busy.add(2 * number, 2 * number + 1)
    assert busy.seconds == 5000
    assert len(busy._starts) <= 1000


def test_requests_in_flight_together_make_no_efficiency_above_one() -> None:
    clock = StageClock()
    for number in range(100):
        clock.worked("reward-0", 10.0 + number / 100, 11.0 + number / 100)
    clock.worked("reward-1", 10.0, 10.5)
    row = clock.row("score", switches=0, switch_seconds=0.0, now=12.0)
    assert row.workers == 2
    assert row.device_seconds == pytest.approx(1.99 + 0.5)
    assert row.wall_seconds == pytest.approx(1.99)
