"""One worker as its launcher manages it: a process that never introduces itself, and one that refuses."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from protocol import messages as m
from protocol.plan import PoolPlan, WorkerPlan
from protocol.sockets import Listener, ipc_endpoint
from tests.waiting import wait_until
from workers import managed_worker, supervision
from workers.entrance import LocalEntrance
from workers.life_socket import send_last_words
from workers.managed_worker import ManagedWorker
from workers.placers.local import LocalPlacer

SILENT = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.term()


@pytest.fixture
def worker(context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path) -> Iterator[ManagedWorker]:
    """A worker whose process runs and sends nothing."""
    spec = m.ModelSpec(role="editor", type="simulated")
    plan = WorkerPlan(worker_id="editor-0", role="editor", device="cpu", spec=spec, residency="device", command=SILENT)
    pool = PoolPlan(name="pool", workers=[plan])
    entrance = LocalEntrance(tmp_path, tmp_path / "life.sock")
    made = ManagedWorker(context, pool, plan, tmp_path, LocalPlacer(pool, tmp_path), entrance)
    yield made
    made.clean_up()


def test_a_process_that_never_introduces_itself_is_killed_and_counts_as_a_death(
    worker: ManagedWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(managed_worker, "_INTRODUCTION_SECONDS", 0.2)
    worker.start()
    worker.update()
    assert worker.alive

    def dead() -> bool:
        worker.update()
        return not worker.alive

    wait_until(dead)
    assert worker.status().exit_code == -9
    assert "did not introduce itself within 0.2 s: killed" in caplog.text
    first = worker.incarnation

    def again() -> bool:
        worker.update()
        return worker.incarnation != first

    wait_until(again)


def test_a_killed_worker_leaves_nothing_but_its_log_in_the_pools_folder(worker: ManagedWorker, tmp_path: Path) -> None:
    worker.start()
    (tmp_path / "editor-0.json").touch()
    (tmp_path / "editor-0.links" / "0123").mkdir(parents=True)
    (tmp_path / "editor-0.links" / "0123" / "config.json").symlink_to("/no/such/file")
    (tmp_path / "editor-1.links").mkdir()
    os.kill(worker.status().pid, signal.SIGKILL)

    def dead() -> bool:
        worker.update()
        return not worker.alive

    wait_until(dead)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["editor-0.log", "editor-1.links"]


def test_a_worker_that_refuses_the_launcher_has_failed_with_its_reason(
    worker: ManagedWorker, context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    worker.start()
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with theirs, Listener(context, ipc_endpoint(tmp_path / "w.sock")) as listener:
        worker.introduced(ours, worker.status().pid, listener.endpoint)
        for kind, text in ((m.Hello, "this worker speaks protocol 0"), (m.Load, "say Hello first")):
            assert listener.socket.poll(20_000)
            received = listener.receive()
            assert received is not None
            assert isinstance(received[1], kind)
            refused = m.Refused(
                run=received[1].run, incarnation=worker.incarnation, kind="protocol_version", message=text
            )
            listener.send(received[0], refused)

        def has_answered() -> bool:
            worker.update()
            return worker.state is not None

        wait_until(has_answered)
        worker.update()
    assert worker.state is not None
    assert (worker.state.phase, worker.state.error) == ("failed", "this worker speaks protocol 0")
    assert worker.changed


def test_a_worker_that_was_given_up_is_restarted_when_a_new_run_asks_for_the_pool(
    worker: ManagedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "MAX_DEATHS", 1)
    worker.start()
    os.kill(worker.status().pid, signal.SIGKILL)

    def gave_up() -> bool:
        worker.update()
        return worker.status().gave_up

    wait_until(gave_up)
    worker.reset_deaths()
    assert worker.alive
    assert not worker.status().gave_up


def test_a_worker_that_cannot_be_started_is_reported_with_the_reason(worker: ManagedWorker) -> None:
    worker.plan = msgspec.structs.replace(worker.plan, command=["/no/such/python"])
    worker.start()
    status = worker.status()
    assert (status.alive, status.gave_up, status.exit_code) == (False, True, 127)
    assert status.state is not None
    assert "/no/such/python cannot be started: " in (status.state.error or "")


def test_a_worker_that_ended_with_a_reason_is_reported_with_it_and_its_next_life_without(
    worker: ManagedWorker, context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker.start()
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with theirs, Listener(context, ipc_endpoint(tmp_path / "w.sock")) as listener:
        worker.introduced(ours, worker.status().pid, listener.endpoint)
        send_last_words(theirs, "RuntimeError: CUDA error: device-side assert triggered")
        os.kill(worker.status().pid, signal.SIGKILL)

        def dead() -> bool:
            worker.update()
            return not worker.alive

        wait_until(dead)
    assert worker.state is not None
    assert worker.state.error == "RuntimeError: CUDA error: device-side assert triggered"
    assert "editor-0 died (SIGKILL: RuntimeError: CUDA error: device-side assert triggered): restart in" in caplog.text
    worker.start()
    assert worker.state is None


def test_a_worker_is_started_anew_with_another_command_and_that_is_no_death(worker: ManagedWorker) -> None:
    worker.start()
    first = worker.incarnation
    other = [*SILENT, "other"]
    worker.reload(msgspec.structs.replace(worker.plan.spec, name="new"), 3, other)
    assert worker.status().command == other

    def anew() -> bool:
        worker.update()
        return worker.incarnation != first

    wait_until(anew)
    assert worker.alive
    assert worker.status().spec.name == "new"
    assert worker.status().exit_code is None
    command = Path(f"/proc/{worker.status().pid}/cmdline")
    wait_until(command.read_bytes)  # the kernel fills it in a moment after the program has started
    assert command.read_bytes().split(b"\0")[3] == b"other"


def test_every_life_loads_in_the_epoch_of_the_last_order_to_load(
    worker: ManagedWorker, context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    """Also if it starts just then: what it reports of an earlier epoch would be about another model, and not count."""
    worker.start()
    worker.reload(msgspec.structs.replace(worker.plan.spec, name="new"), 3)
    for life in range(2):
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with theirs, Listener(context, ipc_endpoint(tmp_path / f"{life}.sock")) as listener:
            worker.introduced(ours, worker.status().pid, listener.endpoint)
            orders: list[m.Load] = []

            def was_ordered(listener: Listener = listener, orders: list[m.Load] = orders) -> bool:
                received = listener.receive()
                orders.extend([received[1]] if received is not None and isinstance(received[1], m.Load) else [])
                return bool(orders)

            wait_until(was_ordered)
            assert [(order.epoch, order.spec.name) for order in orders] == [(3, "new")]
            os.kill(worker.status().pid, signal.SIGKILL)

            def dead() -> bool:
                worker.update()
                return not worker.alive

            wait_until(dead)
        worker.start()
