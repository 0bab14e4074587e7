"""A worker process as its clients see it: what it answers, refuses, keeps and forgets, and when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from protocol import messages as m
from protocol.pool import locked
from tests.waiting import wait_until
from tests.workers.worker_process import Client, WorkerProcess, new_worker, picture
from workers.load_turns import QUEUE_LOCK


@contextmanager
def turns_taken(worker: WorkerProcess) -> Iterator[None]:
    """Another load waits for its turn, and is the first in the queue."""
    folder = worker.folder.parent / ".loads"
    folder.mkdir(exist_ok=True)
    with locked(folder / QUEUE_LOCK):
        yield


@pytest.fixture
def run(worker: WorkerProcess) -> Client:
    """A run that has said Hello, with a loaded model."""
    client = worker.client("run")
    client.hello(heartbeat_seconds=0.1)
    client.expect(m.Welcome)
    client.load()
    client.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == "ready")
    return client


@pytest.fixture(scope="module")
def shared_worker() -> Iterator[WorkerProcess]:
    """The worker of tests that leave it as it was: ready, and in its first lease."""
    with new_worker() as made:
        yield made


@pytest.fixture
def guest(shared_worker: WorkerProcess) -> Iterator[Client]:
    """A run of the shared worker that has said Hello, with the loaded model."""
    client = shared_worker.client(f"guest-{len(shared_worker.clients)}")
    client.hello(heartbeat_seconds=0.1)
    client.expect(m.Welcome)
    client.load()
    client.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == "ready")
    yield client
    client.send(m.Goodbye)


def test_a_worker_answers_before_its_model_is_loaded(worker: WorkerProcess) -> None:
    client = worker.client("run")
    client.hello()
    welcome = client.expect(m.Welcome)
    assert (welcome.worker_id, welcome.role, welcome.state.phase) == ("editor-0", "editor", "starting")
    assert (welcome.queued, welcome.running, welcome.unacknowledged) == ([], [], [])


@pytest.mark.parametrize(
    ("fields", "kind"), [({"protocol_version": 999}, "protocol_version"), ({"incarnation": "another"}, "incarnation")]
)
def test_a_stranger_is_refused_with_the_reason(shared_worker: WorkerProcess, fields: dict[str, Any], kind: str) -> None:
    client = shared_worker.client("stranger")
    client.hello(**fields)
    assert client.expect(m.Refused).kind == kind


def test_a_message_before_hello_is_refused_with_the_reason(shared_worker: WorkerProcess) -> None:
    client = shared_worker.client("stranger")
    client.edit()
    assert client.expect(m.Refused).kind == "unknown_run"


def test_another_model_than_the_one_expected_is_refused_at_the_handshake(guest: Client) -> None:
    guest.hello(fingerprint="0" * 64)
    assert guest.expect(m.Refused).kind == "fingerprint"


def test_no_run_has_a_worker_start_a_server(guest: Client) -> None:
    spec = m.ModelSpec(role="editor", type="simulated", params={"server": {"command": ["any", "program"]}})
    guest.load(spec=spec)
    assert "the launcher alone" in guest.expect(m.Refused).message


def test_the_barrier_message_comes_before_the_image_which_is_sent_until_it_is_acknowledged(guest: Client) -> None:
    guest.edit()
    at_barrier = guest.expect(m.AtBarrier)
    edited = guest.expect(m.Edited)
    assert at_barrier.finished == edited.finished >= edited.started
    guest.hello()
    assert guest.expect(m.Welcome).unacknowledged == ["job"]
    assert guest.expect(m.Edited) == edited, "sent again"
    guest.send(m.Ack, job="job")
    guest.silent_about(m.Edited)


def test_a_job_of_a_round_waits_for_its_release(guest: Client) -> None:
    guest.edit("first", round=0)
    guest.edit("second", round=1)
    guest.send(m.Release, round=0)
    assert guest.expect(m.AtBarrier).job == "first"
    guest.silent_about(m.AtBarrier)
    guest.send(m.Release, round=1)
    guest.send(m.Release, round=1)
    assert guest.expect(m.AtBarrier).job == "second"


def test_an_invalid_image_fails_only_its_job(guest: Client) -> None:
    guest.send(
        m.Edit,
        [b"no image"],
        job="bad",
        key="c/bad",
        round=None,
        instruction="i",
        seed=0,
        parameters={},
        epoch=1,
    )
    guest.edit("good")
    answers = [guest.expect(m.Message, lambda answer: isinstance(answer, m.Failed | m.Edited)) for _ in range(2)]
    (failed,) = (answer for answer in answers if isinstance(answer, m.Failed))
    assert (failed.job, failed.stage, failed.kind) == ("bad", "load", "bad_image")
    assert [answer.job for answer in answers if isinstance(answer, m.Edited)] == ["good"]


def test_an_order_of_an_earlier_lease_is_refused(run: Client) -> None:
    run.edit("new", epoch=5)
    run.expect(m.Edited)
    run.edit("old", epoch=4)
    refused = run.expect(m.Refused)
    assert (refused.kind, refused.job) == ("epoch", "old")
    run.send(m.Place, epoch=4, residency="host")
    assert run.expect(m.Refused).kind == "epoch"


def test_work_for_the_other_role_is_refused(guest: Client) -> None:
    item = m.ScoreItem(item="i", key="c/1", prompts=[m.Prompt(system="", user="u")], with_source=False)
    guest.send(m.Score, [picture()], job="scores", items=[item], parameters={}, epoch=1)
    assert guest.expect(m.Refused).kind == "invalid"
    guest.send(m.Granted, epoch=1, mode="shared")
    assert guest.expect(m.Refused).kind == "invalid"


def test_garbage_changes_nothing(shared_worker: WorkerProcess, guest: Client) -> None:
    with shared_worker.context.socket(zmq.DEALER) as stranger:
        stranger.connect(shared_worker.endpoint)
        for frames in ([b""], [b"\xff" * 100], [b"\x81\xa4type\xa4Edit"], [b"{}"] * 50, [os.urandom(10_000)]):
            stranger.send_multipart(frames)
        guest.edit()
        assert guest.expect(m.Edited).job == "job"


def test_a_run_that_falls_silent_is_dropped_and_has_to_say_hello_again(worker: WorkerProcess, run: Client) -> None:
    quiet = worker.client("quiet")
    quiet.hello(dead_after_seconds=0.5, heartbeat_seconds=0.1)
    quiet.expect(m.Welcome)

    def forgotten() -> bool:
        run.hello()
        return run.expect(m.Welcome).state.runs == 1

    wait_until(forgotten)
    quiet.send(m.Heartbeat)
    assert quiet.expect(m.Refused).kind == "unknown_run"


def test_jobs_wait_while_the_model_is_moved(run: Client) -> None:
    run.send(m.Place, epoch=2, residency="host")
    assert run.expect(m.Placed).residency == "host"
    run.edit(epoch=2)
    run.silent_about(m.AtBarrier)
    run.send(m.Place, epoch=2, residency="device")
    assert run.expect(m.AtBarrier).job == "job"


def test_a_model_comes_back_from_disk(run: Client) -> None:
    for residency in ("disk", "device"):
        run.send(m.Place, epoch=2, residency=residency)
        placed = run.expect(m.Placed)
        assert (placed.residency, placed.error) == (residency, None)
    run.edit(epoch=2)
    assert run.expect(m.Edited).job == "job"


def test_a_worker_ends_when_its_launcher_is_gone(worker: WorkerProcess, run: Client) -> None:
    run.edit(parameters={"latency_ms": 60_000})
    worker.life.close()
    assert worker.process.wait(timeout=20) == 0


def test_on_sigterm_a_worker_finishes_its_job_and_says_goodbye(worker: WorkerProcess, run: Client) -> None:
    run.edit(parameters={"latency_ms": 500})
    run.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.running == "job")
    worker.process.send_signal(signal.SIGTERM)
    assert run.expect(m.AtBarrier).job == "job"
    assert run.expect(m.Edited).job == "job"
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(timeout=0.5)
    run.send(m.Ack, job="job")
    run.expect(m.Goodbye)
    assert worker.process.wait(timeout=2) == 0


@pytest.mark.slow
def test_on_sigterm_a_worker_does_not_wait_for_ever_for_an_acknowledgement(worker: WorkerProcess, run: Client) -> None:
    run.edit()
    run.expect(m.Edited)
    worker.process.send_signal(signal.SIGTERM)
    run.expect(m.Goodbye)
    assert worker.process.wait(timeout=20) == 0


def beats(client: Client, count: int, phase: m.Phase) -> None:
    """Wait for ``count`` heartbeats with this phase; they come every tenth of a second."""
    for _ in range(count):
        client.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == phase)


@pytest.mark.slow
def test_waiting_for_the_turn_to_load_has_no_time_limit(worker: WorkerProcess) -> None:
    client = worker.client("run")
    client.hello(heartbeat_seconds=0.1)
    with turns_taken(worker):
        client.load(load_timeout_seconds=0.8)
        beats(client, 14, "waiting")
    beats(client, 1, "ready")


@pytest.mark.slow
@pytest.mark.parametrize(("parts", "stalls"), [(8, False), (1, True)])
def test_a_download_may_take_any_time_but_not_stop(worker: WorkerProcess, parts: int, stalls: bool) -> None:
    client = worker.client("run")
    client.hello(heartbeat_seconds=0.1)
    class_path = "tests.workers.downloading_editor.DownloadingEditor"
    spec = m.ModelSpec(role="editor", class_path=class_path, params={"parts": parts, "stalls": stalls})
    client.load(spec=spec, load_timeout_seconds=0.8)
    beats(client, 1, "downloading")
    if stalls:
        assert worker.process.wait(timeout=20) == 1
    else:
        beats(client, 1, "ready")


@pytest.mark.slow
def test_loading_from_disk_waits_for_its_turn_and_has_the_time_limit_of_a_load(worker: WorkerProcess) -> None:
    client = worker.client("run")
    client.hello(heartbeat_seconds=0.1)
    spec = m.ModelSpec(role="editor", type="simulated", params={"load_seconds": 0.9})
    client.load(spec=spec, residency="disk", load_timeout_seconds=60, job_timeout_seconds=0.4)
    beats(client, 1, "ready")
    with turns_taken(worker):
        client.send(m.Place, epoch=1, residency="device")
        beats(client, 8, "ready")
    assert client.expect(m.Placed).error is None


def test_a_load_that_hangs_ends_the_worker(worker: WorkerProcess) -> None:
    client = worker.client("run")
    client.hello()
    client.load(
        spec=m.ModelSpec(role="editor", type="simulated", params={"load_seconds": 60}), load_timeout_seconds=0.5
    )
    assert worker.process.wait(timeout=20) == 1


def test_jobs_that_wait_for_a_model_that_does_not_load_are_refused(worker: WorkerProcess) -> None:
    client = worker.client("run")
    client.hello()
    with turns_taken(worker):
        client.load(spec=m.ModelSpec(role="editor", type="simulated", params={"load_seconds": "long"}))
        client.edit()
        client.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == "waiting")
        client.hello()
        client.expect(m.Welcome, lambda welcome: welcome.queued == ["job"])
    refused = client.expect(m.Refused)
    assert (refused.kind, refused.job) == ("not_ready", "job")
    client.hello()
    assert client.expect(m.Welcome).queued == []


def test_a_job_queued_under_an_earlier_lease_does_not_run_under_a_newer_one(worker: WorkerProcess, run: Client) -> None:
    run.edit("old", round=1)
    run.edit("running", parameters={"latency_ms": 300})
    run.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.running == "running")
    other = worker.client("other")
    other.hello()
    other.edit("new", round=1, epoch=2)
    other.send(m.Place, epoch=2, residency="device")
    refused = run.expect(m.Refused)
    assert (refused.kind, refused.job) == ("epoch", "old")
    assert run.expect(m.Edited).job == "running", "the running job is finished"
    other.send(m.Release, round=1)
    assert other.expect(m.Edited).job == "new"


def test_a_worker_ignores_ctrl_c(worker: WorkerProcess, run: Client) -> None:
    worker.process.send_signal(signal.SIGINT)
    run.edit()
    assert run.expect(m.Edited).job == "job"
