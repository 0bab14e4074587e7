"""The order of a sweep's work, however its evaluations end and however often it is resumed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.base.stages import BOTH_STAGES
from scheduler.run.sweep_order import Checkpoint, Sweep, natural

CODES = st.sampled_from([0, 1, 2, 3, 130])


def test_numbers_are_sorted_by_their_value() -> None:
    names = ["c-1000", "c-900", "c-90/model", "b", "c", "c-1000x", "10", "9", "c-0900"]
    assert sorted(names, key=natural) == ["9", "10", "b", "c", "c-90/model", "c-0900", "c-900", "c-1000", "c-1000x"]


@given(st.lists(st.text(alphabet="ab01²٣-/", max_size=6)))
def test_any_names_have_one_order(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural) == sorted(backwards, key=natural)


@given(
    models=st.sets(st.integers(0, 2000).map(lambda step: f"checkpoint-{step}"), min_size=1, max_size=8),
    parts=st.lists(st.lists(st.one_of(CODES, st.none()), max_size=8), max_size=4),
)
def test_nothing_is_done_twice_and_nothing_is_left_out(models: set[str], parts: list[list[int | None]]) -> None:
    """Each part ends where its codes end: None is a kill while a checkpoint is evaluated. The last part ends well."""
    known: list[Checkpoint] = []
    done: list[str] = []
    last: list[int | None] = [0] * len(models)
    for part in [*parts, last]:
        sweep = Sweep(models, BOTH_STAGES, known)
        runs = {checkpoint.model: checkpoint.run for checkpoint in sweep.checkpoints}
        for code in part:
            checkpoint = sweep.next()
            if checkpoint is None:
                break
            assert checkpoint.run == runs[checkpoint.model], "what was begun is resumed"
            sweep.began(checkpoint.model, checkpoint.run or f"run of {checkpoint.model}")
            if code is None:
                break
            sweep.ended(checkpoint.model, code)
            if code in (0, 3):
                done.append(checkpoint.model)
        known = sweep.checkpoints
        assert [checkpoint.model for checkpoint in known] == sorted(models, key=natural)
    assert sorted(done) == sorted(models)
    assert sweep.next() is None
    assert sweep.left == 0
    assert sweep.exit_code in (0, 3)


@given(st.lists(CODES, min_size=1, max_size=6))
def test_the_exit_code_is_the_gravest(codes: list[int]) -> None:
    sweep = Sweep([str(number) for number in range(len(codes))], BOTH_STAGES)
    met = []
    for code in codes:
        checkpoint = sweep.next()
        if checkpoint is not None:
            sweep.ended(checkpoint.model, code)
            met.append(code)
    if 130 in met:
        assert sweep.exit_code == 130
        assert met.index(130) == len(met) - 1, "nothing is begun after an interrupt"
    elif 1 in met:
        assert sweep.exit_code == 1
    elif set(met) == {2}:
        assert sweep.exit_code == 2, "no checkpoint can be loaded"
    else:
        assert sweep.exit_code == (3 if {2, 3} & set(met) else 0)


def test_the_checkpoint_that_follows_is_known_while_one_is_evaluated() -> None:
    sweep = Sweep(["b", "a", "c"], BOTH_STAGES)
    seen = []
    while (checkpoint := sweep.next()) is not None:
        seen.append((checkpoint.model, sweep.following()))
        sweep.ended(checkpoint.model, 0)
    assert seen == [("a", "b"), ("b", "c"), ("c", None)]


def test_an_interrupt_between_two_checkpoints_ends_the_sweep() -> None:
    sweep = Sweep(["a", "b"], BOTH_STAGES)
    sweep.ended("a", 0)
    sweep.interrupt()
    assert sweep.next() is None
    assert sweep.exit_code == 130


def test_a_checkpoint_that_was_edited_only_is_not_finished_where_scores_are_wanted() -> None:
    sweep = Sweep(["a"], ("edit",))
    sweep.began("a", "run")
    sweep.ended("a", 0)
    assert Sweep([], ("edit",), sweep.checkpoints).next() is None
    assert Sweep([], BOTH_STAGES, sweep.checkpoints).next() == Checkpoint("a", "run", 0, None, ("edit",))


def test_checkpoints_that_have_appeared_since_are_part_of_a_resumed_sweep() -> None:
    known = [Checkpoint("c-900", "run", 0, None, BOTH_STAGES), Checkpoint("c-1000")]
    sweep = Sweep(["c-1100", "c-950"], BOTH_STAGES, known)
    assert [checkpoint.model for checkpoint in sweep.checkpoints] == ["c-900", "c-950", "c-1000", "c-1100"]
    assert sweep.left == 3
