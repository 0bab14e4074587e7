"""What failed on one worker, or killed it, is tried on another: the device may be the reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.actions import AssignBatch, AssignEdit
from scheduler.stages.batches import Batches
from scheduler.stages.rounds import Rounds
from scheduler.stages.suspects import Suspects, Tried
from tests.adversary import CHOICES, THOROUGH, Adversary
from tests.scheduler.stages.batches_driver import BatchesDriver
from tests.scheduler.stages.rounds_driver import RoundsDriver
from workers.supervision import MAX_DEATHS


def units(count: int) -> list[EditUnit]:
    return [EditUnit("shapes", str(number)) for number in range(count)]


def test_what_failed_on_one_editor_is_tried_on_another() -> None:
    one, two = pairs = units(2)
    rounds = Rounds(pairs, synchronized=False)
    rounds.join("a", "b")
    assert rounds.failed("a", one, again=True) == [AssignEdit("b", one, None, 2)]
    assert rounds.failed("b", two, again=True) == [AssignEdit("a", two, None, 2)]
    assert rounds.failed("b", one, again=True) == [AssignEdit("b", one, None, 3)], "both have failed: any may try"


def test_an_editor_tries_again_what_failed_on_it_if_it_is_the_only_one() -> None:
    one, two = pairs = units(2)
    rounds = Rounds(pairs, synchronized=False)
    rounds.join("a", "b")
    rounds.failed("a", one, again=True)
    assert rounds.lose("b", died=False) == [AssignEdit("a", two, None, 2), AssignEdit("a", one, None, 3)]


def test_what_failed_on_one_reward_is_tried_on_another() -> None:
    one, two = (ScoreUnit(unit) for unit in units(2))
    batches = Batches(batch_size=1)
    batches.available(one)
    batches.available(two)
    batches.join("a", "b")
    assert batches.batch_failed("a", 0, again=True) == [AssignBatch("b", 2, (one,), (2,))]
    batches.scored("b", 1)
    assert batches.unit_failed("b", two, again=True) == [AssignBatch("a", 3, (two,), (2,))]


def test_a_suspect_is_tried_by_another_worker_than_the_one_that_it_killed() -> None:
    one, two = units(2)
    suspects: Suspects[EditUnit] = Suspects(Tried())
    suspects.died("a", [one], [])
    suspects.died("b", [two], [])
    assert suspects.kept_free({"a": 0, "b": 0, "c": 1}, "abc") == {"a", "b"}
    assert suspects.take("a", "ab") == two
    assert suspects.take("a", "ab") is None
    assert suspects.kept_free({"a": 0, "b": 1}, "ab") == {"b"}
    assert suspects.take("a", "a") == one, "nobody else is left"


# -- one sick worker among healthy ones

SICK, HEALTHY = "a", "bc"


@given(
    choices=CHOICES,
    count=st.integers(1, 12),
    healthy=st.integers(1, 2),
    synchronized=st.booleans(),
    round_size=st.integers(1, 2),
    dies=st.booleans(),
)
@THOROUGH
def test_an_editor_on_which_everything_fails_or_that_everything_kills_costs_no_edit(
    choices: bytes, count: int, healthy: int, synchronized: bool, round_size: int, dies: bool
) -> None:
    adversary = Adversary(choices)
    driver = RoundsDriver(adversary, units=count, synchronized=synchronized, round_size=round_size, max_attempts=2)
    driver.join(SICK, *HEALTHY[:healthy])
    while not driver.rounds.finished:
        happenings: list[Callable[[], object]] = []
        for name, editor in driver.editors.items():
            unit = editor.startable()
            if unit is not None and name == SICK:
                happenings.append(
                    partial(driver.lose, name, died=True) if dies else partial(driver.fail, name, unit, again=True)
                )
            elif unit is not None:
                happenings.append(partial(driver.say_at_barrier, name))
            happenings += [partial(driver.receive, name, unit) for unit in editor.at_barrier]
        happenings += [partial(driver.deliver, unit) for unit in driver.undelivered]
        if SICK not in driver.editors and driver.deaths[SICK] < MAX_DEATHS:
            happenings.append(partial(driver.join, SICK))
        adversary.pick(happenings)()
    assert not driver.given_up
    assert set(driver.delivered) == set(driver.units)


@given(choices=CHOICES, count=st.integers(1, 12), healthy=st.integers(1, 2), size=st.integers(1, 3), dies=st.booleans())
@THOROUGH
def test_a_reward_on_which_everything_fails_or_that_everything_kills_costs_no_score(
    choices: bytes, count: int, healthy: int, size: int, dies: bool
) -> None:
    adversary = Adversary(choices)
    driver = BatchesDriver(adversary, units=count, batch_size=size, max_attempts=2)
    driver.join(SICK, *HEALTHY[:healthy])
    while not driver.batches.finished:
        happenings: list[Callable[[], object]] = [*driver.arrivals]
        for name, held in driver.rewards.items():
            if held and name == SICK:
                number = next(iter(held))
                happenings.append(
                    partial(driver.lose, name, died=True) if dies else partial(driver.fail, name, number, again=True)
                )
            elif held:
                happenings.append(partial(driver.score, name, 0))
        if SICK not in driver.rewards and driver.deaths[SICK] < MAX_DEATHS:
            happenings.append(partial(driver.join, SICK))
        adversary.pick(happenings)()
    assert not driver.given_up
    assert set(driver.delivered) == set(driver.units)
