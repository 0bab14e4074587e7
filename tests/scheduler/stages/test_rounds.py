"""Which editor makes which edit, and when."""

from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from scheduler.benchmark.units import EditUnit
from scheduler.stages.actions import AssignEdit, GiveUpEdit, ReleaseRound, Synced, WithdrawEdit
from scheduler.stages.rounds import Rounds
from tests.adversary import CHOICES, THOROUGH, Adversary
from tests.scheduler.remembered import remembered
from tests.scheduler.stages.rounds_driver import RoundsDriver


def units(count: int) -> list[EditUnit]:
    return [EditUnit("shapes", str(number)) for number in range(count)]


# -- as examples


def test_each_editor_gets_a_unit_of_this_round_and_one_of_the_next_ahead_of_time() -> None:
    one, two, three, four, five, six, _ = pairs = units(7)
    rounds = Rounds(pairs)
    assert rounds.join("a", "b", "c") == [
        AssignEdit("a", one, 0, 1),
        AssignEdit("b", two, 0, 1),
        AssignEdit("c", three, 0, 1),
        ReleaseRound("a", 0),
        ReleaseRound("b", 0),
        ReleaseRound("c", 0),
        AssignEdit("a", four, 1, 1),
        AssignEdit("b", five, 1, 1),
        AssignEdit("c", six, 1, 1),
    ]
    assert rounds.last_round == rounds.round + 2


def test_the_next_round_is_released_when_the_last_editor_is_at_the_barrier() -> None:
    one, two, three, four, five = pairs = units(5)
    rounds = Rounds(pairs)
    rounds.join("a", "b")
    assert rounds.at_barrier("b", two) == []
    assert rounds.at_barrier("a", one) == [
        Synced(0),
        ReleaseRound("a", 1),
        ReleaseRound("b", 1),
        AssignEdit("a", five, 2, 1),
    ]
    assert rounds.received("a", one) == []  # the image comes later and delays no editor
    rounds.delivered(one)
    assert not rounds.finished
    assert rounds.at_barrier("a", three) == []
    assert rounds.at_barrier("b", four) == [Synced(1), ReleaseRound("a", 2), ReleaseRound("b", 2)]


def test_a_round_does_not_wait_for_an_editor_that_dies_and_its_units_come_first() -> None:
    one, two, three, four, five, six, seven = pairs = units(7)
    rounds = Rounds(pairs)
    rounds.join("a", "b", "c")
    rounds.at_barrier("a", one)
    rounds.at_barrier("b", two)
    assert rounds.lose("c", died=False) == [
        Synced(0),
        ReleaseRound("a", 1),
        ReleaseRound("b", 1),
        AssignEdit("a", three, 2, 2),
        AssignEdit("b", six, 2, 2),
    ]
    assert rounds.at_barrier("a", four) == []
    assert rounds.at_barrier("b", five) == [
        Synced(1),
        ReleaseRound("a", 2),
        ReleaseRound("b", 2),
        AssignEdit("a", seven, 3, 1),
    ]


def test_a_dead_editors_unit_at_the_barrier_is_done_again_unless_its_image_arrived() -> None:
    one, two, three, four = pairs = units(4)
    rounds = Rounds(pairs, round_size=2)
    rounds.join("a")
    for unit in (one, two):
        rounds.at_barrier("a", unit)
    rounds.received("a", one)
    assert rounds.lose("a", died=False) == [Synced(1)]
    assert rounds.stranded
    again = [action.unit for action in rounds.join("b") if isinstance(action, AssignEdit)]
    assert again == [two, three, four]


def test_an_editor_that_comes_in_the_middle_of_a_round_takes_part_in_the_next() -> None:
    one, two, three, four = pairs = units(4)
    rounds = Rounds(pairs)
    rounds.join("a")
    assert rounds.join("b") == [AssignEdit("b", three, 1, 1)]
    assert rounds.at_barrier("a", one) == [
        Synced(0),
        ReleaseRound("a", 1),
        ReleaseRound("b", 1),
        AssignEdit("a", four, 2, 1),
    ]
    assert rounds.at_barrier("a", two) == []


def test_a_short_round_is_shared_out_evenly() -> None:
    pairs = units(4)
    rounds = Rounds(pairs, round_size=4)
    given = [action.editor for action in rounds.join("a", "b") if isinstance(action, AssignEdit)]
    assert given == ["a", "b", "a", "b"]


def test_a_unit_is_given_up_after_its_last_attempt() -> None:
    (one,) = units(1)
    rounds = Rounds([one], max_attempts=2)
    rounds.join("a")
    assert rounds.failed("a", one, again=True) == [Synced(0), AssignEdit("a", one, 1, 2), ReleaseRound("a", 1)]
    assert rounds.failed("a", one, again=True) == [GiveUpEdit(one), Synced(1)]
    assert rounds.finished


def test_a_permanent_error_is_not_retried() -> None:
    one, _ = pairs = units(2)
    rounds = Rounds(pairs)
    rounds.join("a")
    assert rounds.failed("a", one, again=False)[0] == GiveUpEdit(one)


def test_a_failure_while_draining_does_not_give_up_what_could_have_been_tried_again() -> None:
    one, two, _ = pairs = units(3)
    rounds = Rounds(pairs)
    rounds.join("a", "b")
    rounds.drain()
    assert rounds.failed("a", one, again=True) == []
    assert rounds.failed("b", two, again=False) == [GiveUpEdit(two), Synced(0)]
    assert rounds.finished


def test_draining_takes_back_all_that_is_not_on_a_device() -> None:
    one, two, three, four = pairs = units(4)
    for synchronized in (True, False):
        rounds = Rounds(pairs, synchronized=synchronized, round_size=2)
        rounds.join("a")
        rounds.at_barrier("a", one)
        withdrawn = [action.unit for action in rounds.drain() if isinstance(action, WithdrawEdit)]
        assert withdrawn == [three, four]
        rounds.at_barrier("a", two)
        for unit in (one, two):
            rounds.received("a", unit)
            rounds.delivered(unit)
        assert rounds.finished


def test_running_free_an_editor_never_waits_for_another() -> None:
    one, two, three, four, five = pairs = units(5)
    rounds = Rounds(pairs, synchronized=False)
    assert rounds.join("a", "b") == [
        AssignEdit("a", one, None, 1),
        AssignEdit("b", two, None, 1),
        AssignEdit("a", three, None, 1),
        AssignEdit("b", four, None, 1),
    ]
    assert rounds.at_barrier("a", one) == [AssignEdit("a", five, None, 1)]


def test_while_enough_images_wait_for_the_disk_no_unit_is_assigned() -> None:
    one, two, three, four, _ = pairs = units(5)
    rounds = Rounds(pairs, synchronized=False, max_undelivered=2)
    rounds.join("a")
    assert rounds.at_barrier("a", one) == [AssignEdit("a", three, None, 1)]
    assert rounds.received("a", one) == []
    assert rounds.at_barrier("a", two) == [AssignEdit("a", four, None, 1)]
    rounds.received("a", two)
    assert rounds.at_barrier("a", three) == [], "two images wait"
    assert [action.unit for action in rounds.delivered(one) if isinstance(action, AssignEdit)] == [pairs[4]]
    assert rounds.delivered(one) == [], "delivering it once is enough"


def test_a_round_is_not_opened_before_the_disk_has_taken_the_images_of_an_earlier_one() -> None:
    one, two, three = pairs = units(3)
    rounds = Rounds(pairs, max_undelivered=1)
    rounds.join("a")
    rounds.received("a", one)
    assert rounds.round == 1
    assert rounds.at_barrier("a", two) == [Synced(1)]
    assert rounds.delivered(one) == [AssignEdit("a", three, 2, 1), ReleaseRound("a", 2)]


def test_nothing_is_kept_of_units_that_are_done() -> None:
    pairs = [EditUnit("shapes", str(number)) for number in range(3000)]
    for synchronized in (True, False):
        rounds = Rounds(pairs, synchronized=synchronized, round_size=2, max_attempts=2)
        work = deque(rounds.join("a", "b", "c"))
        largest = done = 0
        while work:
            action = work.popleft()
            if not isinstance(action, AssignEdit):
                continue
            name, unit = action.editor, action.unit
            done += 1
            if done % 300 < 2:
                work += rounds.failed(name, unit, again=done % 2 == 0)
                continue
            work += [*rounds.at_barrier(name, unit), *rounds.received(name, unit), *rounds.delivered(unit)]
            largest = max(largest, remembered(rounds, but=pairs))
        assert rounds.finished
        assert remembered(rounds, but=pairs) == 3, "three editors, and no unit"
        assert largest < 100


def test_without_units_there_is_nothing_to_do() -> None:
    rounds = Rounds([])
    assert rounds.join("a") == []
    assert rounds.finished
    assert not rounds.stranded


# -- whatever happens

RUNS = given(
    choices=CHOICES,
    count=st.integers(1, 14),
    synchronized=st.booleans(),
    round_size=st.integers(1, 3),
    max_attempts=st.integers(1, 3),
    samples=st.integers(1, 2),
    max_undelivered=st.none() | st.integers(1, 3),
)


def drive(
    choices: bytes,
    count: int,
    synchronized: bool,
    round_size: int,
    max_attempts: int,
    samples: int,
    max_undelivered: int | None,
) -> RoundsDriver:
    """A run with all the trouble that there can be, up to where the trouble ends; somebody lives then."""
    adversary = Adversary(choices)
    driver = RoundsDriver(
        adversary,
        units=count,
        synchronized=synchronized,
        round_size=round_size,
        max_attempts=max_attempts,
        samples=samples,
        max_undelivered=max_undelivered,
    )
    driver.join(*"abc"[: adversary.pick([2, 1, 3])])
    while not adversary.tired:
        if adversary.chance(3):
            driver.trouble()
        else:
            driver.progress()
    if not driver.editors:
        driver.join("a")
    return driver


@RUNS
@THOROUGH
def test_whatever_happens_every_unit_is_delivered_or_given_up_exactly_once(
    choices: bytes,
    count: int,
    synchronized: bool,
    round_size: int,
    max_attempts: int,
    samples: int,
    max_undelivered: int | None,
) -> None:
    driver = drive(choices, count, synchronized, round_size, max_attempts, samples, max_undelivered)
    last = driver.rounds.last_round
    # A disk that holds back makes rounds smaller.
    predictable = max_undelivered is None
    predictable &= not driver.suspects and not any(editor.alone for editor in driver.editors.values())
    predictable &= not driver.choosy
    while driver.progress():
        pass
    assert driver.rounds.finished
    assert remembered(driver.rounds, but=driver.units) == driver.unforgettable
    assert (driver.delivered + driver.given_up) == dict.fromkeys(driver.units, 1)
    if synchronized:
        assert driver.rounds.round == last or not predictable, "without trouble there are as many rounds as expected"
        assert driver.synced == driver.opened
    event(f"rounds: {len(driver.opened)}")


@RUNS
@THOROUGH
def test_whenever_a_run_is_drained_nothing_more_is_started_and_it_ends(
    choices: bytes,
    count: int,
    synchronized: bool,
    round_size: int,
    max_attempts: int,
    samples: int,
    max_undelivered: int | None,
) -> None:
    half = len(choices) // 2
    driver = drive(choices[:half], count, synchronized, round_size, max_attempts, samples, max_undelivered)
    driver.drain()
    driver.adversary = Adversary(choices[half:])
    while not driver.adversary.tired:
        if driver.adversary.chance(3):
            driver.trouble()
        else:
            driver.progress()
    while driver.progress():
        pass
    assert driver.rounds.finished
    assert max((driver.delivered + driver.given_up).values(), default=1) == 1


@given(count=st.integers(0, 60), editors=st.integers(1, 6), round_size=st.integers(1, 4), choices=CHOICES)
@THOROUGH
def test_without_trouble_there_are_no_more_rounds_than_needed(
    count: int, editors: int, round_size: int, choices: bytes
) -> None:
    driver = RoundsDriver(Adversary(choices), units=count, synchronized=True, round_size=round_size, max_attempts=1)
    driver.join(*"abcdef"[:editors])
    while driver.progress():
        pass
    assert len(driver.opened) == math.ceil(count / (editors * round_size))


@pytest.mark.slow
@given(count=st.integers(1, 60), editors=st.integers(1, 6), round_size=st.integers(1, 4))
@THOROUGH
def test_of_editors_that_join_one_by_one_the_first_has_a_round_alone(count: int, editors: int, round_size: int) -> None:
    driver = RoundsDriver(Adversary(b""), units=count, synchronized=True, round_size=round_size, max_attempts=1)
    for name in "abcdef"[:editors]:
        driver.join(name)
    while driver.progress():
        pass
    left = max(0, count - round_size)
    assert len(driver.opened) == 1 + math.ceil(left / (editors * round_size))
