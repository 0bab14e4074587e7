"""Whether and when a worker that died is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.supervision import MAX_DEATHS, Restart, StopRestarting, Supervision


def test_a_worker_that_dies_again_and_again_is_started_after_longer_and_longer_and_left_dead_at_the_fifth() -> None:
    supervision = Supervision()
    decisions = [supervision.died(finished_a_pair=False) for _ in range(5)]
    assert decisions == [Restart(0.5), Restart(1.0), Restart(2.0), Restart(4.0), StopRestarting(5)]


def test_a_finished_pair_makes_good_for_the_deaths_before_it() -> None:
    supervision = Supervision()
    for _ in range(4):
        supervision.died(finished_a_pair=False)
    assert supervision.died(finished_a_pair=True) == Restart(0.5)
    assert supervision.died(finished_a_pair=False) == Restart(1.0)


@given(lives=st.lists(st.booleans(), max_size=60))
def test_it_is_left_dead_if_and_only_if_it_died_too_often_with_no_pair_finished_in_between(lives: list[bool]) -> None:
    supervision = Supervision()
    for number, finished in enumerate(lives, start=1):
        decision = supervision.died(finished_a_pair=finished)
        # The life before the first of these deaths may have finished some: that is not in between.
        in_between = lives[max(0, number - MAX_DEATHS + 1) : number]
        hopeless = number >= MAX_DEATHS and not any(in_between)
        assert isinstance(decision, StopRestarting) == hopeless
        if isinstance(decision, StopRestarting):
            return
        assert 0.5 <= decision.delay <= 60
