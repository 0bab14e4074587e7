"""Pairs that kill their workers are identified and given up, and no other pair is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from hypothesis import event, given, settings
from hypothesis import strategies as st

from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.actions import AssignBatch, AssignEdit, GiveUpEdit, ReleaseRound, Synced
from scheduler.stages.batches import Batches
from scheduler.stages.rounds import Rounds
from scheduler.stages.suspects import Aftermath, Suspects, Tried, poison_message
from tests.adversary import CHOICES, THOROUGH, Adversary
from tests.scheduler.stages.batches_driver import SHAPES, BatchesDriver
from tests.scheduler.stages.rounds_driver import Editor, RoundsDriver
from workers.supervision import MAX_DEATHS


def units(count: int) -> list[EditUnit]:
    return [EditUnit("shapes", str(number)) for number in range(count)]


# -- as examples


def test_the_unit_on_the_device_becomes_a_suspect_and_the_others_are_done_as_before() -> None:
    one, two, three = units(3)
    suspects: Suspects[EditUnit] = Suspects(Tried())
    assert suspects.died("a", [one, two, three], [two]) == Aftermath([], [one, three])
    assert suspects.take("b", ["b"]) == two


def test_a_unit_beside_a_second_death_becomes_a_suspect_too() -> None:
    one, two, three = units(3)
    suspects: Suspects[EditUnit] = Suspects(Tried())
    suspects.died("a", [one, two], [one])
    assert suspects.died("b", [three, two], [three]) == Aftermath([], [])
    assert [suspects.take("c", ["c"]) for _ in range(len(suspects))] == [one, three, two]


def test_two_deaths_alone_make_a_pair_poison_with_all_its_samples() -> None:
    one, other = EditUnit("shapes", "1", 0), EditUnit("shapes", "1", 1)
    suspects: Suspects[EditUnit] = Suspects(Tried())
    assert suspects.died("a", [one], []) == Aftermath([], [])
    assert suspects.died("b", [other], []) == Aftermath([one, other], [])
    assert suspects.deaths(one) == ("a", "b")
    assert len(suspects) == 0


def test_the_message_about_a_poisonous_pair_says_of_what_each_worker_died() -> None:
    (one,) = units(1)
    rounds = Rounds([one])
    rounds.join("a")
    rounds.lose("a", died=True, reason="RuntimeError: CUDA error: device-side assert triggered")
    rounds.join("b")
    (given_up,) = (action for action in rounds.lose("b", died=True) if isinstance(action, GiveUpEdit))
    assert given_up.deaths == ("a: RuntimeError: CUDA error: device-side assert triggered", "b")
    assert "(a: RuntimeError: CUDA error: device-side assert triggered, b)" in poison_message(given_up.deaths)


def test_an_editor_is_not_given_more_until_it_has_tried_a_suspect() -> None:
    """Running free, with one editor that is always kept busy."""
    one, two, three, four, five = pairs = units(5)
    rounds = Rounds(pairs, synchronized=False)
    rounds.join("a")
    rounds.lose("a", died=True)
    assert rounds.join("a") == [AssignEdit("a", two, None, 2), AssignEdit("a", three, None, 1)]
    assert rounds.at_barrier("a", two) == []
    assert rounds.received("a", two) == []
    assert rounds.at_barrier("a", three) == []
    assert rounds.received("a", three) == [AssignEdit("a", one, None, 2)]
    assert rounds.at_barrier("a", one) == []
    assert rounds.received("a", one) == [AssignEdit("a", four, None, 1), AssignEdit("a", five, None, 1)]


def test_a_suspect_is_tried_while_other_editors_go_on() -> None:
    one, two, three, four, five, six, seven = pairs = units(7)
    rounds = Rounds(pairs, synchronized=False)
    rounds.join("a", "b")
    rounds.at_barrier("b", two)
    rounds.received("b", two)
    assert rounds.lose("a", died=True) == []
    rounds.join("a")
    assert rounds.at_barrier("b", four) == []
    assert rounds.received("b", four) == []
    assert rounds.at_barrier("b", five) == []
    assert rounds.received("b", five) == [AssignEdit("b", one, None, 2)]
    assert rounds.at_barrier("a", three) == [AssignEdit("a", seven, None, 1)]
    assert rounds.at_barrier("a", six) == []


def test_a_round_waits_for_the_image_that_an_editor_must_hand_over_before_it_tries_a_suspect() -> None:
    one, two, three, four, five, six = pairs = units(6)
    rounds = Rounds(pairs)
    rounds.join("a", "b")
    rounds.lose("a", died=True)
    assert rounds.join("a") == [AssignEdit("a", three, 1, 2)]
    assert rounds.at_barrier("b", two) == [
        Synced(0),
        ReleaseRound("b", 1),
        ReleaseRound("a", 1),
        AssignEdit("a", five, 2, 1),
    ]
    rounds.received("b", two)
    assert rounds.at_barrier("b", four) == []
    assert rounds.at_barrier("a", three) == [Synced(1)]
    assert rounds.received("a", three) == []
    assert rounds.received("b", four) == [
        AssignEdit("b", one, 2, 2),
        ReleaseRound("b", 2),
        ReleaseRound("a", 2),
        AssignEdit("a", six, 3, 1),
    ]


def test_a_reward_is_not_given_more_until_it_has_tried_a_suspect() -> None:
    one, two, three, four, five = scores = [ScoreUnit(unit) for unit in units(5)]
    batches = Batches(batch_size=1)
    for unit in scores:
        batches.available(unit)
    batches.join("a")
    batches.lose("a", died=True)
    assert batches.join("a") == [AssignBatch("a", 2, (two,), (2,)), AssignBatch("a", 3, (three,), (1,))]
    assert batches.scored("a", 2) == []
    assert batches.scored("a", 3) == [AssignBatch("a", 4, (one,), (2,))]
    assert batches.scored("a", 4) == [AssignBatch("a", 5, (four,), (1,)), AssignBatch("a", 6, (five,), (1,))]


def test_a_pair_that_kills_while_alone_is_given_up_and_the_reason_names_the_workers() -> None:
    (one,) = units(1)
    for synchronized in (True, False):
        rounds = Rounds([one], synchronized=synchronized)
        rounds.join("a")
        assert GiveUpEdit(one, ("a",)) not in rounds.lose("a", died=True)
        rounds.join("b")
        assert rounds.lose("b", died=True)[0] == GiveUpEdit(one, ("a", "b"))
        assert rounds.finished


def test_silence_counts_against_no_pair() -> None:
    (one,) = units(1)
    rounds = Rounds([one], synchronized=False)
    for attempt in range(1, 6):
        assert rounds.join("a") == [AssignEdit("a", one, None, attempt)]
        assert rounds.lose("a", died=False) == []


# -- whatever the pairs die of


def fatal(editor: Editor, killers: dict[EditUnit, str]) -> bool:
    """Whether something that the editor has kills it now."""
    return (
        killers.get(editor.startable() or EditUnit("", "")) == "device"
        or any(killers.get(unit) == "decode" for unit in editor.given)
        or any(killers.get(unit) == "encode" for unit in editor.at_barrier)
    )


def edit_happenings(driver: RoundsDriver, names: str, killers: dict[EditUnit, str]) -> list[Callable[[], None]]:
    happenings: list[Callable[[], None]] = [
        partial(driver.join, name) for name in names if name not in driver.editors and not driver.rounds.finished
    ]
    for name, editor in driver.editors.items():
        if fatal(editor, killers):
            happenings.append(partial(driver.lose, name, died=True))
            continue
        if editor.startable() is not None:
            happenings.append(partial(driver.say_at_barrier, name))
        happenings += [partial(driver.receive, name, unit) for unit in editor.at_barrier]
    return happenings + [partial(driver.deliver, unit) for unit in driver.undelivered]


@given(
    choices=CHOICES,
    count=st.integers(1, 14),
    killers=st.dictionaries(st.integers(0, 13), st.sampled_from(["device", "decode", "encode"]), max_size=4),
    editors=st.integers(1, 3),
    synchronized=st.booleans(),
    round_size=st.integers(1, 3),
)
@THOROUGH
def test_pairs_that_kill_editors_are_given_up_and_all_others_are_delivered(
    choices: bytes, count: int, killers: dict[int, str], editors: int, synchronized: bool, round_size: int
) -> None:
    adversary = Adversary(choices)
    driver = RoundsDriver(adversary, units=count, synchronized=synchronized, round_size=round_size, max_attempts=1)
    deadly = {driver.units[number]: kind for number, kind in killers.items() if number < count}
    names = "abc"[:editors]
    driver.join(*names)
    while happenings := edit_happenings(driver, names, deadly):
        adversary.pick(happenings)()
    assert driver.rounds.finished
    assert set(driver.given_up) == set(deadly)
    assert set(driver.delivered) == set(driver.units) - set(deadly)
    deaths = driver.deaths
    assert deaths.total() <= 4 * len(deadly)
    event(f"deaths: {deaths.total()}")


def score_happenings(driver: BatchesDriver, names: str, killers: set[ScoreUnit]) -> list[partial[None]]:
    happenings: list[partial[None]] = [
        partial(driver.join, name) for name in names if name not in driver.rewards and not driver.batches.finished
    ]
    for name in driver.rewards:
        at_work = driver.at_work(name)
        if any(killers.intersection(units) for units in at_work):
            happenings.append(partial(driver.lose, name, died=True))
        happenings += [
            partial(driver.score, name, 0, place)
            for place, units in enumerate(at_work)
            if not killers.intersection(units)
        ]
    return happenings + driver.arrivals


@given(
    choices=CHOICES,
    count=st.integers(1, 16),
    killers=st.sets(st.integers(0, 15), max_size=4),
    rewards=st.integers(1, 3),
    shape=SHAPES,
)
@THOROUGH
def test_pairs_that_kill_rewards_are_given_up_and_all_others_are_scored(
    choices: bytes, count: int, killers: set[int], rewards: int, shape: tuple[int, int]
) -> None:
    adversary = Adversary(choices)
    batch_size, slots = shape
    driver = BatchesDriver(adversary, units=count, batch_size=batch_size, slots=slots, max_attempts=1)
    deadly = {driver.units[number] for number in killers if number < count}
    names = "abc"[:rewards]
    while happenings := score_happenings(driver, names, deadly):
        adversary.pick(happenings)()
    assert driver.batches.finished
    assert set(driver.given_up) == deadly
    assert set(driver.delivered) == set(driver.units) - deadly
    assert driver.deaths.total() <= (3 if slots == 1 else 5) * len(deadly)
    event(f"deaths: {driver.deaths.total()}")


@given(
    count=st.integers(0, 10),
    killers=st.sets(st.integers(0, 9), max_size=2),
    synchronized=st.booleans(),
    round_size=st.integers(1, 2),
)
@THOROUGH
def test_two_pairs_that_kill_do_not_lead_to_giving_up_the_only_editor(
    count: int, killers: set[int], synchronized: bool, round_size: int
) -> None:
    driver = RoundsDriver(Adversary(b""), units=count, synchronized=synchronized, round_size=round_size, max_attempts=1)
    deadly = {driver.units[number]: "device" for number in killers if number < count}
    in_a_row: Counter[str] = Counter()
    driver.join("a")
    while happenings := edit_happenings(driver, "a", deadly):
        editor = driver.editors.get("a")
        happenings[0]()
        if editor is not None and "a" not in driver.editors:
            in_a_row["a"] = 1 if editor.proven else in_a_row["a"] + 1
            assert in_a_row["a"] < MAX_DEATHS or driver.rounds.finished
    assert driver.rounds.finished


# With three, whose solo attempts follow each other, the only reward may die five times in a row, and is given up.
@given(count=st.integers(0, 200), killers=st.sets(st.integers(0, 199), max_size=2), slots=st.integers(2, 128))
@settings(max_examples=20)
def test_two_pairs_that_kill_at_once_do_not_lead_to_giving_up_the_only_reward_that_streams(
    count: int, killers: set[int], slots: int
) -> None:
    driver = BatchesDriver(Adversary(b""), units=count, batch_size=1, slots=slots, max_attempts=1)
    deadly = {driver.units[number] for number in killers if number < count}
    while driver.arrivals:
        driver.arrivals[0]()
    in_a_row = 0
    while happenings := score_happenings(driver, "a", deadly):
        proven = "a" in driver.proven
        dies = "a" in driver.rewards and happenings[0].func == driver.lose
        happenings[0]()
        if dies:
            in_a_row = 1 if proven else in_a_row + 1
            assert in_a_row < MAX_DEATHS or driver.batches.finished
    assert driver.batches.finished
    assert set(driver.given_up) == deadly
    assert driver.deaths.total() <= 7 * len(deadly)
