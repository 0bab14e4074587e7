"""Batches of rewards that work on many at once, and the limit of what a server is asked."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.units import ScoreUnit
from scheduler.stages.actions import AssignBatch
from scheduler.stages.batches import Batches
from tests.scheduler.stages.batches_driver import scores, with_waiting


def test_a_reward_that_streams_gets_a_unit_for_each_that_comes_back_whichever_that_is() -> None:
    *units, five, six = scores(6)
    batches = with_waiting(Batches(batch_size=1, slots=3), [*units, five, six])
    first = [AssignBatch("a", number, (unit,), (1,)) for number, unit in enumerate(units)]
    assert batches.join("a") == first, "one ahead, for the slot that gets free next"
    assert batches.scored("a", 2) == [AssignBatch("a", 4, (five,), (1,))]
    assert batches.scored("a", 1) == [AssignBatch("a", 5, (six,), (1,))]


def test_draining_leaves_a_reward_that_streams_all_that_it_has_as_it_may_have_started_it() -> None:
    batches = with_waiting(Batches(batch_size=1, slots=3), scores(9))
    assert len(batches.join("a")) == 4
    assert batches.drain() == []
    assert batches.scored("a", 1) == []


def test_what_a_reward_that_streams_died_of_is_sought_in_a_quarter_of_the_company_at_a_time() -> None:
    units = scores(30)
    batches = with_waiting(Batches(batch_size=1, slots=16), units)
    batches.join("a")
    assert batches.lose("a", died=True) == []
    again = [AssignBatch("a", 20 + number, (unit,), (2,)) for number, unit in enumerate(units[16:20])]
    new = [AssignBatch("a", 24 + number, (unit,), (1,)) for number, unit in enumerate(units[20:])]
    assert batches.join("a") == [*again, *new], "a new life begins with something that is not suspected"
    held = [action.batch for action in (*again, *new)]
    started: list[ScoreUnit] = []
    while held:
        for action in batches.scored("a", held.pop(0)):
            assert isinstance(action, AssignBatch)
            held.append(action.batch)
            started += action.units
            assert len(held) <= 4
    assert started == units[:16]


def test_requests_end_at_their_limit_with_nothing_under_way() -> None:
    units = scores(5)
    batches = with_waiting(Batches(batch_size=1, slots=2, max_requests=4), units)
    assert len(batches.join("a")) == 3
    assert batches.scored("a", 1, requests=2) == [], "what is under way may be all that is left"
    batches.delivered(units[1])
    exhausted = [batches.exhausted]
    batches.scored("a", 0, requests=1)
    batches.unit_failed("a", units[0], again=True)
    exhausted.append(batches.exhausted)
    batches.scored("a", 2, requests=1)
    assert [*exhausted, batches.exhausted] == [False, False, True]
    assert batches.requests == 4


@given(limit=st.integers(1, 40), slots=st.integers(1, 12), each=st.integers(1, 9))
def test_requests_that_are_made_again_count_before_they_are_made(limit: int, slots: int, each: int) -> None:
    batches = with_waiting(Batches(batch_size=1, slots=slots, max_requests=limit), scores(60))
    batches.close()
    held = deque(batches.join("a"))
    first = len(held)  # nothing is known yet
    while held:
        action = held.popleft()
        assert isinstance(action, AssignBatch)
        held += batches.scored("a", action.batch, requests=each)
        held += batches.delivered(*action.units)
    assert batches.exhausted
    assert limit <= batches.requests <= max(limit + each - 1, first * each)


@given(limit=st.integers(1, 40), count=st.integers(0, 40), slots=st.integers(1, 12), deaths=st.sets(st.integers(0, 39)))
def test_no_more_requests_are_made_than_are_allowed(limit: int, count: int, slots: int, deaths: set[int]) -> None:
    """A request that was under way when its reward died counts."""
    batches = with_waiting(Batches(batch_size=1, slots=slots, max_requests=limit), scores(count))
    batches.close()
    asked, done, step = 0, 0, 0
    held = deque(batches.join("a"))
    while held:
        step += 1
        if step in deaths:
            asked += min(len(held), slots)
            batches.lose("a", died=False)
            held = deque(batches.join("a"))
            continue
        action = held.popleft()
        assert isinstance(action, AssignBatch)
        asked, done = asked + 1, done + 1
        held += batches.scored("a", action.batch, requests=1)
        held += batches.delivered(*action.units)
    assert asked == batches.requests <= limit
    assert (done == count) == batches.finished == (not batches.exhausted)
