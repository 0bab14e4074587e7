"""Times of machines whose clocks differ by minutes, by the scheduler's clock."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from protocol import messages as m
from scheduler.pool.clocks import Offset, better, by_our_clock, measured

NOW = 1_800_000_000.0
SKEWS = st.floats(-3600, 3600)
DELAYS = st.floats(0, 5)


@given(skew=SKEWS, there=DELAYS, back=DELAYS, work=st.floats(0, 600))
def test_times_are_right_up_to_half_of_the_round_trip(skew: float, there: float, back: float, work: float) -> None:
    """The worker's clock is ahead by ``skew``."""
    offset = measured(NOW, NOW + there + back, NOW + there + skew)
    began = NOW + 100
    edited = m.AtBarrier(run="r", incarnation="i", job="j", round=0, started=began + skew, finished=began + skew + work)
    ours = by_our_clock(edited, offset.seconds)
    tolerance = there + back + 0.0011  # where clocks agree within the error, nothing is changed
    assert abs(ours.started - began) <= tolerance
    assert abs((ours.finished - ours.started) - work) < 1e-5, "durations stay"


@given(there=DELAYS, back=DELAYS)
def test_clocks_that_agree_are_taken_as_one(there: float, back: float) -> None:
    assert measured(NOW, NOW + there + back, NOW + there).seconds == 0


@given(skew=st.floats(60, 3600), rounds=st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=5))
def test_the_most_exact_answer_counts(skew: float, rounds: list[tuple[float, float]]) -> None:
    best = None
    for there, back in rounds:
        best = better(best, measured(NOW, NOW + there + back, NOW + there + skew))
    assert best is not None
    assert abs(best.seconds + skew) <= min(there + back for there, back in rounds) / 2 + 0.0011


def test_a_clock_that_is_set_while_the_run_goes_on_is_measured_anew() -> None:
    assert better(Offset(120.0, 0.001), Offset(0.0, 0.01)) == Offset(0.0, 0.01)
    assert better(Offset(120.0, 0.001), Offset(120.005, 0.01)) == Offset(120.0, 0.001)


def test_times_of_parts_are_shifted_and_all_else_stays() -> None:
    span = m.CodecSpan(thread=0, what="decode", started=10.0, finished=11.0)
    edited = m.Edited(
        run="r",
        incarnation="i",
        job="j",
        started=12.0,
        finished=13.0,
        width=8,
        height=8,
        sha256="0" * 64,
        codecs=[span],
    )
    assert by_our_clock(edited, 0.0) is edited
    shifted = by_our_clock(edited, 100.0)
    assert (shifted.started, shifted.finished) == (112.0, 113.0)
    assert (shifted.codecs[0].started, shifted.codecs[0].finished) == (110.0, 111.0)
    assert msgspec.structs.replace(shifted, started=12.0, finished=13.0, codecs=[span]) == edited
