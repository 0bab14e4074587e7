"""A worker process whose model breaks its device, exits or is interrupted."""

from __future__ import annotations

import signal

import pytest

from protocol import messages as m
from tests.workers.worker_process import Client, WorkerProcess, new_worker, picture
from workers.life_socket import read_last_words
from workers.worker import EXIT_BROKEN_DEVICE

ILLEGAL_ACCESS = "RuntimeError: CUDA error: an illegal memory access was encountered"


def client_of(worker: WorkerProcess, role: m.Role = "editor", **params: object) -> Client:
    """A run; the worker loads the failing model."""
    client = worker.client("run")
    client.hello(heartbeat_seconds=0.1)
    client.expect(m.Welcome)
    name = "FailingEditor" if role == "editor" else "FailingReward"
    client.load(spec=m.ModelSpec(role=role, class_path=f"tests.workers.failing_models.{name}", params=params))
    return client


def ready(worker: WorkerProcess, role: m.Role = "editor") -> Client:
    client = client_of(worker, role)
    client.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == "ready")
    return client


def assert_ended(worker: WorkerProcess) -> None:
    assert worker.process.wait(timeout=20) == EXIT_BROKEN_DEVICE
    assert read_last_words(worker.life) == ILLEGAL_ACCESS


def test_a_broken_device_ends_the_worker_with_its_reason_once_what_is_finished_is_delivered(
    worker: WorkerProcess,
) -> None:
    run = ready(worker)
    run.edit("good", round=0)
    run.edit("deadly", round=0, instruction="illegal access")
    run.edit("waiting", round=0)
    run.send(m.Release, round=0)
    assert run.expect(m.Edited).job == "good"
    run.send(m.Ack, job="good")
    assert_ended(worker)
    assert not any(isinstance(message, m.Failed | m.AtBarrier | m.Goodbye) for message in run.rest()), (
        "the run learns of it by the worker's death"
    )


def test_an_outdated_model_ends_the_worker_which_says_so_itself(worker: WorkerProcess) -> None:
    run = ready(worker)
    run.edit("good")
    assert run.expect(m.Edited).job == "good"
    run.send(m.Ack, job="good")
    run.edit("late", instruction="outdated")
    assert run.expect(m.Goodbye).reason == "the model is another one now"
    assert worker.process.wait(timeout=20) == EXIT_BROKEN_DEVICE
    assert read_last_words(worker.life) == "the model is another one now"


def score(run: Client, how: str, **parameters: object) -> None:
    item = m.ScoreItem(item=how, key="c/1", prompts=[m.Prompt(system="", user=how)], with_source=False)
    run.send(m.Score, [picture()], job=how, items=[item], parameters=parameters, epoch=1)


def test_a_broken_device_ends_a_reward_as_well_and_one_that_exits_fails_its_batch() -> None:
    with new_worker("reward") as worker:
        run = ready(worker, "reward")
        score(run, "exit", while_preparing=True)
        failed = run.expect(m.Failed)
        assert (failed.kind, failed.message) == ("error", "SystemExit: the model called sys.exit(3)")
        score(run, "good")
        assert run.expect(m.Scored).job == "good"
        run.send(m.Ack, job="exit")
        run.send(m.Ack, job="good")
        score(run, "illegal access")
        assert_ended(worker)
        assert not any(isinstance(message, m.Scored | m.Failed | m.Goodbye) for message in run.rest())


def test_a_load_that_finds_the_device_broken_ends_the_worker_with_its_reason(worker: WorkerProcess) -> None:
    client_of(worker, load="illegal access")
    assert_ended(worker)


@pytest.mark.parametrize(
    ("how", "message"),
    [("exit", "SystemExit: the model called sys.exit(3)"), ("interrupt", "KeyboardInterrupt")],
)
def test_a_model_that_exits_or_is_interrupted_fails_that_job_and_the_worker_goes_on(
    worker: WorkerProcess, how: str, message: str
) -> None:
    run = ready(worker)
    run.edit("bad", instruction=how)
    failed = run.expect(m.Failed)
    assert (failed.job, failed.stage, failed.kind, failed.message) == ("bad", "edit", "error", message)
    run.edit("good")
    assert run.expect(m.Edited).job == "good"
    run.send(m.Ack, job="bad")
    run.send(m.Ack, job="good")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(timeout=20) == 0


def test_a_model_that_exits_while_it_loads_has_failed_to_load(worker: WorkerProcess) -> None:
    run = client_of(worker, load="exit")
    beat = run.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == "failed")
    assert beat.state is not None
    assert beat.state.error == "SystemExit: the model called sys.exit(3)"
    run.load(epoch=2)
    states: list[m.WorkerState] = []
    while not states or states[-1].phase != "ready":
        beat = run.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.epoch == 2)
        states += [beat.state] if beat.state is not None else []
    assert {(state.phase, state.error) for state in states} <= {("waiting", None), ("loading", None), ("ready", None)}
