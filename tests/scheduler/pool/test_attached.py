"""What a run says of a pool that was up before it: what the workers hold, not what earlier runs met."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from protocol import messages as m
from scheduler.pool.matching import has_loaded_since, mismatches, without_model
from scheduler.pool.watch import PoolWatch
from tests.scheduler.pool.test_matching import COMMANDS, EDITOR, REWARD, SPECS, loaded, pool, worker

OTHER = msgspec.structs.replace(EDITOR, name="/models/other")


def failed(spec: m.ModelSpec, error: str, *, epoch: int = 1) -> m.WorkerStatus:
    return worker(spec, state=m.WorkerState(phase="failed", error=error, epoch=epoch))


def lines(watch: PoolWatch, *workers: m.WorkerStatus) -> Sequence[str]:
    return [line.text for line in watch.update(pool(*workers))]


def test_what_is_loaded_already_is_said_with_where_it_is() -> None:
    host = worker(REWARD, state=loaded(REWARD, residency="host"))
    assert lines(PoolWatch(SPECS, attached=True), worker(EDITOR), host) == [
        "editor-0 on cpu: holds a already [1/2] (0.0 MB, on its device)",
        "reward-0 on cpu: holds r already [2/2] (0.0 MB, in host memory)",
    ]


def test_a_model_that_was_replaced_in_place_is_named() -> None:
    watch = PoolWatch(SPECS, attached=True)
    assert lines(watch, worker(OTHER)) == ["editor-0 on cpu: holds another model: other"]
    assert lines(watch, worker(EDITOR, state=loaded(OTHER, phase="waiting"))) == []
    assert lines(watch, worker(EDITOR, state=loaded(OTHER, phase="loading"))) == [
        "editor-0 on cpu: loading the model ..."
    ]
    done = "editor-0 on cpu: model loaded [1/1] (0.0 MB in 1.0 s): it is a now"
    assert lines(watch, worker(EDITOR)) == [done]
    assert lines(watch, worker(EDITOR)) == []
    assert lines(watch, worker(EDITOR, state=loaded(EDITOR, residency="host"))) == [], "a move is no load"


def test_a_load_in_place_that_is_over_before_it_was_seen_is_named_as_well() -> None:
    watch = PoolWatch(SPECS, attached=True)
    lines(watch, worker(OTHER))
    assert lines(watch, worker(EDITOR, state=loaded(OTHER))) == [], "it has not begun to load"
    assert lines(watch, worker(EDITOR)) == ["editor-0 on cpu: model loaded [1/1] (0.0 MB in 1.0 s): it is a now"]


def test_an_error_about_another_model_is_not_the_runs() -> None:
    watch = PoolWatch(SPECS, attached=True)
    assert lines(watch, failed(OTHER, "truncated")) == []
    assert lines(watch, failed(OTHER, "truncated again")) == []
    assert lines(watch, failed(EDITOR, "no such file", epoch=2)) == [
        "editor-0 on cpu: the model was not loaded: no such file (log: log)"
    ]


def test_an_error_from_before_the_run_is_said_to_be_one() -> None:
    watch = PoolWatch(SPECS, attached=True)
    (line,) = watch.update(pool(failed(EDITOR, "no such file"), worker(REWARD, alive=False, exit_code=1)))
    assert line.text == "editor-0 on cpu: could not load this model before: no such file (log: log)"
    assert line.level == logging.WARNING


def test_a_death_is_reported_once_for_each_life_with_its_reason() -> None:
    watch = PoolWatch(SPECS)
    dead = worker(
        EDITOR, alive=False, exit_code=70, state=loaded(EDITOR, error="RuntimeError: CUDA error: unknown error")
    )
    text = "editor-0 on cpu: died (exit code 70: RuntimeError: CUDA error: unknown error), log: log"
    assert lines(watch, dead) == [text]
    assert lines(watch, dead) == []
    assert lines(watch, msgspec.structs.replace(dead, incarnation="second")) == [text]


def test_a_model_that_no_worker_could_load_before_is_loaded_again() -> None:
    both = pool(failed(EDITOR, "no such file"), worker(REWARD))
    assert without_model(both, SPECS) == {"editor-0"}
    (mismatch,) = mismatches(both, SPECS, COMMANDS, {"editor-0"})
    assert (mismatch.worker_id, mismatch.why) == ("editor-0", "it could not be loaded before")
    watch = PoolWatch(SPECS, attached=True)
    watch.update(both)
    assert watch.hopeless(["editor"], again={"editor-0"}) is None
    assert "no such file" in (watch.hopeless(["editor"]) or "")


def test_a_failure_to_load_is_the_runs_once_it_is_of_its_own_lease() -> None:
    assert not has_loaded_since(failed(EDITOR, "no such file", epoch=1), 2)
    assert has_loaded_since(failed(EDITOR, "no such file", epoch=2), 2)
    assert has_loaded_since(worker(EDITOR), 2)


def test_one_worker_without_the_model_is_left_alone_while_another_has_it() -> None:
    second = msgspec.structs.replace(failed(EDITOR, "no"), worker_id="editor-1")
    assert without_model(pool(worker(EDITOR), second, worker(REWARD)), SPECS) == set()
    assert without_model(pool(failed(OTHER, "no"), worker(REWARD)), SPECS) == set(), "that is another model"
