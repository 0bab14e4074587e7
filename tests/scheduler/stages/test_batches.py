"""Which reward scores what, in which batches."""

from __future__ import annotations

import tracemalloc
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.actions import AssignBatch, BatchAction, GiveUpScore, WithdrawBatch
from scheduler.stages.batches import Batches
from tests.adversary import CHOICES, THOROUGH, Adversary
from tests.scheduler.remembered import remembered
from tests.scheduler.stages.batches_driver import SHAPES, BatchesDriver, scores, with_waiting

# -- as examples


def test_a_free_reward_takes_what_waits_and_gets_only_full_batches_ahead() -> None:
    one, two, three = scores(3)
    batches = Batches(batch_size=2)
    batches.join("a")
    assert batches.available(one) == [AssignBatch("a", 0, (one,), (1,))]
    assert batches.available(two) == []
    assert batches.available(three) == [AssignBatch("a", 1, (two, three), (1, 1))]


def test_when_no_more_units_will_come_the_last_batch_need_not_be_full() -> None:
    one, two = scores(2)
    batches = Batches(batch_size=2)
    batches.join("a")
    batches.available(one)
    batches.available(two)
    assert batches.close() == [AssignBatch("a", 1, (two,), (1,))]


def test_rewards_that_come_together_share_what_waits() -> None:
    units = scores(5)
    batches = with_waiting(Batches(batch_size=2), units)
    assert batches.join("a", "b") == [
        AssignBatch("a", 0, tuple(units[:2]), (1, 1)),
        AssignBatch("b", 1, tuple(units[2:4]), (1, 1)),
    ]


def test_the_units_of_a_batch_that_failed_are_tried_one_at_a_time_without_counting_the_failure() -> None:
    one, two, three = scores(3)
    batches = with_waiting(Batches(batch_size=3, max_attempts=1), [one, two, three])
    batches.join("a")
    assert batches.batch_failed("a", 0, again=False) == [
        AssignBatch("a", 1, (one,), (2,)),
        AssignBatch("a", 2, (two,), (2,)),
    ]
    assert batches.batch_failed("a", 1, again=True) == [GiveUpScore(one), AssignBatch("a", 3, (three,), (2,))]


def test_the_batch_on_the_device_of_a_reward_that_died_is_tried_alone_and_the_rest_in_batches() -> None:
    one, two, three, four = scores(4)
    batches = with_waiting(Batches(batch_size=2), [one, two, three, four])
    batches.join("a")
    batches.close()
    assert batches.lose("a", died=True) == []
    assert batches.stranded
    assert batches.join("b") == [AssignBatch("b", 2, (three, four), (2, 2))]
    assert batches.scored("b", 2) == [AssignBatch("b", 3, (one,), (2,))]
    assert batches.scored("b", 3) == [AssignBatch("b", 4, (two,), (2,))]


def test_a_batch_that_the_device_was_done_with_is_no_suspect() -> None:
    one, two, three, four = scores(4)
    batches = with_waiting(Batches(batch_size=2), [one, two, three, four])
    batches.join("a")
    batches.close()
    batches.device_done("a", 0)
    assert batches.lose("a", died=True) == []
    assert batches.join("b") == [AssignBatch("b", 2, (one, two), (2, 2))]
    assert batches.scored("b", 2) == [AssignBatch("b", 3, (three,), (2,))], "of the second batch each is tried alone"


def test_draining_leaves_the_batch_on_the_device_and_those_that_are_done() -> None:
    batches = with_waiting(Batches(batch_size=1), scores(3))
    batches.join("a")
    batches.device_done("a", 0)
    assert batches.drain() == []


def test_the_batches_of_a_reward_that_was_only_silent_are_scored_by_others_as_before() -> None:
    one, two, three, four = scores(4)
    batches = with_waiting(Batches(batch_size=2), [one, two, three, four])
    batches.join("a")
    batches.close()
    batches.lose("a", died=False)
    assert batches.join("b") == [AssignBatch("b", 2, (one, two), (2, 2)), AssignBatch("b", 3, (three, four), (2, 2))]


def test_a_unit_that_kills_two_rewards_while_alone_is_given_up_with_all_passes_of_its_pair() -> None:
    one, again = ScoreUnit(EditUnit("shapes", "1"), 0), ScoreUnit(EditUnit("shapes", "1"), 1)
    batches = with_waiting(Batches(batch_size=2), [one, again])
    batches.join("a", "b")
    batches.lose("b", died=True)
    assert batches.lose("a", died=True) == []
    assert batches.join("a") == [AssignBatch("a", 1, (one,), (2,))]
    batches.lose("a", died=True)
    batches.join("b")
    assert batches.lose("b", died=True) == [GiveUpScore(one, ("a", "b")), GiveUpScore(again, ("a", "b"))]
    late = ScoreUnit(EditUnit("shapes", "1", 1))
    assert batches.available(late) == [GiveUpScore(late, ("a", "b"))]
    batches.close()
    assert batches.finished


def test_a_suspect_is_still_tried_alone_when_its_reward_dies_before_it_starts() -> None:
    one, two = scores(2)
    batches = with_waiting(Batches(batch_size=2), [one, two])
    batches.join("a")
    batches.batch_failed("a", 0, again=True)
    batches.lose("a", died=False)
    assert batches.join("b") == [AssignBatch("b", 3, (one,), (3,)), AssignBatch("b", 4, (two,), (3,))]


def test_a_unit_that_got_no_score_is_tried_again_up_to_its_last_attempt() -> None:
    (one,) = scores(1)
    batches = with_waiting(Batches(batch_size=2, max_attempts=2), [one])
    batches.join("a")
    batches.close()
    batches.scored("a", 0)
    assert batches.unit_failed("a", one, again=True) == [AssignBatch("a", 1, (one,), (2,))]
    batches.scored("a", 1)
    assert batches.unit_failed("a", one, again=True) == [GiveUpScore(one)]
    assert batches.finished


def test_draining_takes_back_what_was_sent_ahead_and_gives_nothing_up_that_could_be_tried_again() -> None:
    units = scores(5)
    batches = with_waiting(Batches(batch_size=2), units)
    batches.join("a")
    assert batches.drain() == [WithdrawBatch("a", 1)]
    assert batches.batch_failed("a", 0, again=False) == []
    assert batches.finished


def test_it_is_not_finished_before_the_last_row_is_in_the_ledger() -> None:
    (one,) = scores(1)
    batches = with_waiting(Batches(batch_size=2), [one])
    batches.join("a")
    batches.close()
    batches.scored("a", 0)
    assert not batches.finished
    batches.delivered(one)
    assert batches.finished


def test_while_enough_scores_wait_for_the_disk_no_batch_is_assigned() -> None:
    one, two, three, four = scores(4)
    batches = with_waiting(Batches(batch_size=1, max_undelivered=2), [one, two, three, four])
    batches.join("a")
    assert batches.scored("a", 0) == [AssignBatch("a", 2, (three,), (1,))]
    assert batches.scored("a", 1) == []
    assert batches.delivered(one) == [AssignBatch("a", 3, (four,), (1,))]


def test_nothing_is_kept_of_units_that_are_scored() -> None:
    batches = Batches(batch_size=4, max_attempts=2)
    batches.join("a", "b")
    largest = done = 0
    work: deque[BatchAction] = deque()
    for unit in scores(3000):
        work += batches.available(unit)
        while work:
            action = work.popleft()
            if not isinstance(action, AssignBatch):
                continue
            done += 1
            if done % 30 < 2:
                work += batches.batch_failed(action.reward, action.batch, again=done % 2 == 0)
                continue
            work += batches.scored(action.reward, action.batch)
            for one in action.units:
                work += batches.delivered(one)
        largest = max(largest, remembered(batches))
    batches.close()
    assert batches.finished
    assert remembered(batches) == 2, "two rewards, and no unit"
    assert largest < 100


def test_an_edit_that_waits_for_its_first_judgement_takes_no_more_than_itself() -> None:
    batches = Batches(batch_size=4)
    units = [EditUnit("shapes", str(number)) for number in range(10_000)]
    tracemalloc.start()
    for unit in units:
        batches.available(ScoreUnit(unit))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(units) < 10


# -- whatever happens


def drive(driver: BatchesDriver) -> None:
    while not driver.adversary.tired:
        if driver.adversary.chance(3):
            driver.trouble()
        else:
            driver.progress()


RUNS = given(
    choices=CHOICES,
    count=st.integers(0, 16),
    shape=SHAPES,
    max_attempts=st.integers(1, 3),
    passes=st.integers(1, 2),
    max_undelivered=st.none() | st.integers(1, 5),
)


@RUNS
@THOROUGH
def test_whatever_happens_every_unit_is_scored_or_given_up_exactly_once(
    choices: bytes, count: int, shape: tuple[int, int], max_attempts: int, passes: int, max_undelivered: int | None
) -> None:
    driver = BatchesDriver(
        Adversary(choices),
        units=count,
        batch_size=shape[0],
        slots=shape[1],
        max_attempts=max_attempts,
        passes=passes,
        max_undelivered=max_undelivered,
    )
    drive(driver)
    if not driver.rewards:
        driver.join("a")
    while driver.progress():
        pass
    assert driver.batches.finished
    assert len(driver.available) == count
    assert (driver.delivered + driver.given_up) == dict.fromkeys(driver.available, 1)
    assert remembered(driver.batches) == driver.unforgettable


@RUNS
@THOROUGH
def test_whenever_a_run_is_drained_nothing_more_is_started_and_it_ends(
    choices: bytes, count: int, shape: tuple[int, int], max_attempts: int, passes: int, max_undelivered: int | None
) -> None:
    half = len(choices) // 2
    driver = BatchesDriver(
        Adversary(choices[:half]),
        units=count,
        batch_size=shape[0],
        slots=shape[1],
        max_attempts=max_attempts,
        passes=passes,
        max_undelivered=max_undelivered,
    )
    drive(driver)
    driver.drain()
    driver.adversary = Adversary(choices[half:])
    drive(driver)
    while driver.progress():
        pass
    assert driver.batches.finished
    assert max((driver.delivered + driver.given_up).values(), default=1) == 1


@RUNS
@THOROUGH
def test_without_trouble_all_is_scored_at_the_first_attempt(
    choices: bytes, count: int, shape: tuple[int, int], max_attempts: int, passes: int, max_undelivered: int | None
) -> None:
    driver = BatchesDriver(
        Adversary(choices),
        units=count,
        batch_size=shape[0],
        slots=shape[1],
        max_attempts=max_attempts,
        passes=passes,
        max_undelivered=max_undelivered,
    )
    driver.join("a", "b")
    while driver.progress():
        pass
    assert driver.batches.finished
    assert driver.delivered == dict.fromkeys(driver.available, 1)
    assert driver.batches.batches <= max(1, count)
