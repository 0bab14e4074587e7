"""Whether and when a dead worker is restarted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.supervision import MAX_DEATHS, Restart, StopRestarting, Supervision


def test_restart_delays_double_and_the_fifth_death_in_a_row_is_final() -> None:
    supervision = Supervision()
    decisions = [supervision.died(finished_a_pair=False) for _ in range(5)]
    assert decisions == [Restart(0.5), Restart(1.0), Restart(2.0), Restart(4.0), StopRestarting(5)]


def test_a_finished_pair_resets_the_count_of_deaths() -> None:
    supervision = Supervision()
    for _ in range(4):
        supervision.died(finished_a_pair=False)
    assert supervision.died(finished_a_pair=True) == Restart(0.5)
    assert supervision.died(finished_a_pair=False) == Restart(1.0)


@given(lives=st.lists(st.booleans(), max_size=60))
def test_restarts_stop_only_after_too_many_deaths_without_a_finished_pair_in_between(lives: list[bool]) -> None:
    supervision = Supervision()
    for number, finished in enumerate(lives, start=1):
        decision = supervision.died(finished_a_pair=finished)
        # The process before the first of these deaths may have finished some: that is not in between.
        in_between = lives[max(0, number - MAX_DEATHS + 1) : number]
        hopeless = number >= MAX_DEATHS and not any(in_between)
        assert isinstance(decision, StopRestarting) == hopeless
        if isinstance(decision, StopRestarting):
            return
        assert 0.5 <= decision.delay <= 60
