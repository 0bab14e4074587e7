"""What failed on one worker, or killed it, is tried on another: the device may be the reason."""

from __future__ import annotations

from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.actions import AssignBatch, AssignEdit
from scheduler.stages.batches import Batches
from scheduler.stages.rounds import Rounds
from scheduler.stages.suspects import Suspects, Tried


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
