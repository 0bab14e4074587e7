"""What a run does next."""

from __future__ import annotations

from collections import Counter

from hypothesis import event, given
from hypothesis import strategies as st

from protocol.messages import Role
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.run import course as c
from tests.adversary import CHOICES, THOROUGH, Adversary
from tests.scheduler.run.course_driver import CourseDriver
from tests.scheduler.run.course_world import Scenario


def after(course: c.Course, *events: c.Event) -> list[c.CourseAction]:
    """All that the course answers."""
    return [action for event in events for action in course.handle(event)]


def joined(*roles: Role) -> c.WorkersJoined:
    return c.WorkersJoined(frozenset(roles))


def editing(*, swap: bool, stages: tuple[Stage, ...] = BOTH_STAGES) -> c.Course:
    """A new run that has its plan and its lease."""
    course = c.Course(stages, resumed=False)
    assert after(course, c.ModelsKnown(), c.PlanRecorded(), c.LeaseHeld(swap)) == [c.DrawUpPlan(recorded=False)]
    return course


# -- as examples


def test_a_run_whose_models_have_devices_of_their_own_edits_and_scores_at_once() -> None:
    course = editing(swap=False)
    assert course.desired == {"editor": "device", "reward": "device"}
    assert after(course, c.WorkersGathered(), joined("editor")) == [c.TakeIn(), c.RecordWorkers()]
    assert after(course, joined("editor"), joined("editor", "reward")) == [c.RecordWorkers()]
    assert after(course, c.EditsRunningOut(), c.ScoresOver()) == []
    assert after(course, c.EditsOver(scores_left=True)) == [c.FinishStage("edit"), c.CloseScores()]
    assert after(course, c.WorkersGathered(), c.ScoresOver()) == [
        c.TakeIn(),
        c.FinishStage("score"),
        c.End(interrupted=False),
    ]
    assert course.switches == 0


def test_models_that_share_devices_change_places_between_the_stages() -> None:
    course = editing(swap=True)
    assert course.desired == {"editor": "device", "reward": "away"}
    after(course, c.WorkersGathered(), joined("editor"))
    assert after(course, c.EditsRunningOut()) == [c.ReadEarly("reward")]
    assert after(course, c.EditsOver(scores_left=True)) == [c.FinishStage("edit"), c.CloseScores(), c.BeginSwitch()]
    assert course.desired == {"editor": "away", "reward": "device"}
    assert after(course, c.WorkersGathered()) == [], "nobody begins before all have changed places"
    assert after(course, c.WeightsSettled(), c.WorkersGathered()) == [c.EndSwitch(), c.TakeIn()]
    assert course.switches == 1


def test_the_next_model_is_read_once_while_the_last_edits_are_made_unless_the_user_wants_the_run_to_end() -> None:
    course = editing(swap=False)
    assert after(course, c.LastEdits()) == [c.ReadNext()]
    assert after(course, c.LastEdits()) == []
    interrupted = editing(swap=False)
    after(interrupted, c.Interrupted())
    assert after(interrupted, c.LastEdits()) == []


def test_a_resumed_run_with_nothing_left_to_edit_places_the_rewards_without_counting_a_switch() -> None:
    course = c.Course(BOTH_STAGES, resumed=True)
    assert after(course, c.LeaseHeld(swap=True), c.ModelsKnown(frozenset({"editor"}))) == []
    assert after(course, c.ModelsKnown(frozenset({"editor", "reward"}))) == [c.DrawUpPlan(recorded=False)]
    assert after(course, c.PlanRecorded(), c.LeaseHeld(swap=True), c.EditsOver(scores_left=True)) == [
        c.FinishStage("edit"),
        c.CloseScores(),
        c.BeginSwitch(),
    ]
    assert course.switches == 0


def test_a_stage_alone_keeps_the_other_models_off_shared_devices() -> None:
    course = editing(swap=True, stages=("score",))
    assert course.desired == {"editor": "away", "reward": "device"}
    assert after(course, c.EditsOver(scores_left=False), c.ScoresOver()) == [
        c.CloseScores(),
        c.FinishStage("score"),
        c.End(interrupted=False),
    ]
    course = editing(swap=True, stages=("edit",))
    assert course.desired == {"editor": "device", "reward": "away"}
    assert after(course, c.EditsRunningOut()) == []
    assert after(course, c.EditsOver(scores_left=False)) == [c.FinishStage("edit"), c.End(interrupted=False)]


def test_a_run_whose_pool_ends_before_it_has_begun_plans_anew_in_the_next_one() -> None:
    course = editing(swap=True)
    assert after(course, c.PoolEnded(replaceable=True)) == [c.TakeAnotherPool()]
    assert course.phase == "planning"
    assert course.desired == {"editor": "device", "reward": "device"}
    assert course.recorded
    assert after(course, c.LeaseHeld(swap=False), c.WorkersGathered(), c.EditsOver(scores_left=True)) == []
    assert after(course, c.ModelsKnown()) == [c.DrawUpPlan(recorded=True)], "its rows are not written twice"
    assert after(course, c.PlanRecorded(), c.LeaseHeld(swap=False), c.WorkersGathered()) == [c.TakeIn()]


def test_a_run_that_has_begun_does_not_go_to_another_pool() -> None:
    course = editing(swap=False)
    after(course, joined("reward"))
    assert after(course, c.PoolEnded(replaceable=True)) == []
    assert after(editing(swap=False), c.PoolEnded(replaceable=False)) == []


def test_an_interrupted_run_records_what_it_was_to_do_and_ends_if_nothing_is_begun() -> None:
    course = c.Course(BOTH_STAGES, resumed=False)
    assert after(course, c.ModelsKnown(), c.Interrupted()) == [c.DrawUpPlan(recorded=False), c.DrainStages()]
    assert after(course, c.PlanRecorded()) == [c.End(interrupted=True)]
    resumed = c.Course(BOTH_STAGES, resumed=True)
    assert after(resumed, c.Interrupted(), c.Interrupted()) == [c.DrainStages(), c.End(interrupted=True)]
    assert not resumed.recorded


def test_an_interrupted_run_that_waits_for_its_lease_again_ends_at_once() -> None:
    course = editing(swap=False)
    after(course, joined("editor"))
    assert after(course, c.Interrupted()) == [c.DrainStages()]
    assert after(course, c.LeaseMissing()) == [c.End(interrupted=True)]


# -- whatever happens

SCENARIOS = st.builds(
    Scenario,
    stages=st.sampled_from([BOTH_STAGES, BOTH_STAGES, BOTH_STAGES, ("edit",), ("score",)]),
    resumed=st.booleans(),
    edits=st.integers(0, 4),
    scores=st.integers(0, 3),
    missing=st.sampled_from([None, None, None, None, "editor", "reward"]),
    pools=st.integers(1, 3),
)


@given(scenario=SCENARIOS, choices=CHOICES)
@THOROUGH
def test_whatever_happens_a_run_ends_once_with_all_done_unless_a_role_never_comes(
    scenario: Scenario, choices: bytes
) -> None:
    driver = disturbed(scenario, choices)
    while driver.progress():
        pass
    event(f"ended: {driver.ended}, switches: {driver.course.switches}")
    if driver.ended:
        assert driver.ended in (["done"], ["aborted"])
    else:
        assert scenario.missing in scenario.roles, "only a role that is asked for is waited for"


@given(scenario=SCENARIOS, choices=CHOICES)
@THOROUGH
def test_whenever_a_run_is_interrupted_it_ends_without_anybody_coming(scenario: Scenario, choices: bytes) -> None:
    driver = disturbed(scenario, choices)
    if driver.ended:
        return
    event(f"interrupted while {driver.course.phase}")
    driver.interrupt()
    while driver.progress(arrivals=False):
        pass
    assert driver.ended == ["interrupted"]


def disturbed(scenario: Scenario, choices: bytes) -> CourseDriver:
    """A run to which happened whatever the adversary chose."""
    adversary = Adversary(choices)
    driver = CourseDriver(adversary, scenario)
    driver.turn()
    while not adversary.tired and not driver.ended:
        if adversary.chance(6):
            driver.trouble()
        elif not driver.progress():
            break
    return driver


OF_WORKERS = (c.TakeIn, c.ReadEarly, c.ReadNext, c.CloseScores, c.BeginSwitch, c.EndSwitch)
"""Actions of a run that may use its workers."""

EVENTS: st.SearchStrategy[c.Event] = st.one_of(
    st.builds(c.ModelsKnown, st.frozensets(st.sampled_from(["editor", "reward"]))),
    st.builds(c.LeaseHeld, st.booleans()),
    st.builds(c.EditsOver, st.booleans()),
    st.builds(c.WorkersJoined, st.frozensets(st.sampled_from(["editor", "reward"]))),
    st.builds(c.PoolEnded, st.booleans()),
    st.sampled_from(
        [
            c.PlanRecorded(),
            c.LeaseMissing(),
            c.LastEdits(),
            c.EditsRunningOut(),
            c.WeightsSettled(),
            c.WorkersGathered(),
            c.ScoresOver(),
            c.Interrupted(),
        ]
    ),
)


@given(stages=st.sampled_from([BOTH_STAGES, ("edit",), ("score",)]), resumed=st.booleans(), events=st.lists(EVENTS))
@THOROUGH
def test_no_order_of_events_has_anything_done_twice_or_after_the_end(
    stages: tuple[Stage, ...], resumed: bool, events: list[c.Event]
) -> None:
    course = c.Course(stages, resumed=resumed)
    actions: list[c.CourseAction] = []
    leased = False
    for happened in events:
        begun = len(course.begun)
        answer = course.handle(happened)
        assert (c.RecordWorkers() in answer) == (len(course.begun) > begun)
        leased = (leased or isinstance(happened, c.LeaseHeld)) and not isinstance(happened, c.LeaseMissing)
        assert leased or not any(isinstance(action, OF_WORKERS) for action in answer)
        leased = leased and c.TakeAnotherPool() not in answer
        actions += answer
    counts = Counter(map(repr, actions))
    pools = 1 + counts[repr(c.TakeAnotherPool())]
    for kind in (c.DrawUpPlan, c.FinishStage, c.CloseScores, c.BeginSwitch, c.EndSwitch):
        assert all(counts[repr(action)] <= pools for action in actions if isinstance(action, kind))
    assert counts[repr(c.DrainStages())] <= 1
    assert not any(isinstance(action, c.End) for action in actions[:-1])
    assert counts[repr(c.EndSwitch())] <= counts[repr(c.BeginSwitch())]
