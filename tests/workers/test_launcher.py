"""The launcher as its clients see it, over real sockets; the test drives its loop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import pytest
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.keys import PoolKeys, read_client_keys
from protocol.plan import PoolPlan, WorkerPlan
from protocol.processes import create_time
from protocol.sockets import Link
from tests.protocol.curve import connect
from tests.waiting import wait_until
from workers import launcher as launcher_module
from workers.launcher import Launcher

SILENT = [sys.executable, "-c", "import signal; signal.pause()"]
Kind = TypeVar("Kind", bound=m.Message)


class Pool:
    """A launcher whose worker process sends nothing, and its clients."""

    def __init__(self, folder: Path, transport: Literal["ipc", "tcp"] = "ipc") -> None:
        spec = m.ModelSpec(role="editor", type="simulated")
        worker = WorkerPlan(
            worker_id="editor-0", role="editor", device="cpu", spec=spec, residency="device", command=SILENT
        )
        # An hour between heartbeats: a status is sent only because something has changed.
        plan = PoolPlan(name="pool", workers=[worker], keep=True, heartbeat_seconds=3600, transport=transport)
        self.launcher = Launcher(plan, folder)
        for managed in self.launcher._workers.values():
            managed.start()
        self.keys = read_client_keys(PoolKeys(folder).run_key) if transport == "tcp" else None
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.links: dict[str, Link] = {}

    def client(self, run: str) -> None:
        self.links[run] = connect(self.context, self.launcher._listener.endpoint, self.keys)
        self.send(run, m.Hello, protocol_version=PROTOCOL_VERSION, version=VERSION)
        self.expect(run, m.PoolStatus)

    def send(self, run: str, kind: type[m.Message], **fields: Any) -> None:
        self.links[run].send(kind(**{"run": run, "incarnation": "any", **fields}))

    def expect(self, run: str, kind: type[Kind], matching: Callable[[Kind], bool] = lambda _: True) -> Kind:
        messages: list[Kind] = []

        def has_arrived() -> bool:
            self.launcher._turn()
            while (received := self.links[run].receive()) is not None:
                if isinstance(received[0], kind) and matching(received[0]):
                    messages.append(received[0])
                    return True
            return False

        wait_until(has_arrived, seconds=20)
        return messages[0]


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """With the transport that is the test's parameter, else ipc."""
    folder = Path(tempfile.mkdtemp(prefix="wb-", dir="/tmp"))
    made = Pool(folder, getattr(request, "param", "ipc"))
    yield made
    for link in made.links.values():
        link.close()
    made.context.term()
    made.launcher._clean_up()
    shutil.rmtree(folder)


def test_a_lease_for_a_process_that_is_gone_is_refused_with_the_reason(pool: Pool) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        created = create_time(process.pid)
    pool.client("run")
    pool.send("run", m.Lease, mode="shared", pid=process.pid, pid_create_time=created)
    refused = pool.expect("run", m.Refused)
    assert refused.kind == "invalid"
    assert f"the process {process.pid} of run run has ended" in refused.message


def test_all_clients_learn_at_once_who_holds_the_lease(pool: Pool) -> None:
    pool.client("watcher")
    pool.client("run")
    pool.send("run", m.Lease, mode="shared", pid=os.getpid(), pid_create_time=create_time(os.getpid()))
    assert pool.expect("watcher", m.PoolStatus, lambda status: status.holders == ["run"]).waiting == []


@pytest.mark.parametrize(("pool", "allowed"), [("ipc", True), ("tcp", False)], indirect=["pool"])
def test_no_message_that_other_users_can_send_chooses_a_program(pool: Pool, allowed: bool) -> None:
    pool.client("run")
    pool.send("run", m.Lease, mode="exclusive", pid=os.getpid(), pid_create_time=create_time(os.getpid()))
    epoch = pool.expect("run", m.Granted).epoch
    (worker,) = pool.launcher._workers.values()
    command = [*SILENT, "another"]
    reload = {"epoch": epoch, "worker_ids": [worker.plan.worker_id], "spec": worker.plan.spec}
    pool.send("run", m.Reload, command=SILENT, **reload)
    served = msgspec.structs.replace(worker.plan.spec, type="http", params={"server": {"command": ["any", "program"]}})
    asked = ({"command": command}, {"spec": served})
    for change in asked:
        pool.send("run", m.Reload, **{**reload, **change})
    if allowed:
        # One status may tell of both: the launcher answers all that has arrived in one turn.
        pool.expect("run", m.PoolStatus, lambda status: status.workers[0].spec == served)
        assert worker.plan.command == command
    else:
        for _ in asked:
            assert "no run chooses the Python" in pool.expect("run", m.Refused).message
        assert (worker.plan.command, worker.plan.spec) == (SILENT, reload["spec"])


def test_an_unreachable_client_is_dropped_and_a_listening_one_is_not(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("gone", "listens"):
        pool.client(run)
    pool.links.pop("gone").close()

    def announce_until(condition: Callable[[], bool]) -> None:
        def announced() -> bool:
            pool.launcher._changed = True
            pool.launcher._turn()
            return condition()

        wait_until(announced, seconds=20)

    announce_until(lambda: not pool.launcher._send_status("gone"))
    announce_until(lambda: "gone" in pool.launcher._clients)
    monkeypatch.setattr(launcher_module, "_SILENT_SECONDS", 0.0)
    announce_until(lambda: "gone" not in pool.launcher._clients)
    assert list(pool.launcher._clients) == ["listens"]
    pool.launcher._changed = True
    pool.expect("listens", m.PoolStatus)


def test_a_launcher_imports_nothing_of_the_models() -> None:
    program = (
        "import sys, workers.__main__, workers.launcher\n"
        "assert not {'torch', 'numpy', 'PIL', 'workers.interface', 'workers.holder'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_client_without_a_lease_keeps_the_pool_up_until_it_leaves(pool: Pool) -> None:
    pool.launcher._keep = False
    for run in ("keeper", "run", "run-2"):
        pool.client(run)
    here = {"pid": os.getpid(), "pid_create_time": create_time(os.getpid())}
    pool.send("keeper", m.Lease, mode=None, **here)
    kept = pool.expect("run", m.PoolStatus, lambda status: status.keep)
    assert (kept.holders, kept.waiting) == ([], []), "it is in nobody's way"

    pool.send("run", m.Lease, mode="exclusive", **here)
    pool.expect("run", m.Granted)
    pool.send("run", m.Goodbye, reason="over")
    pool.expect("keeper", m.PoolStatus, lambda status: not status.holders)
    assert not pool.launcher._stopping
    pool.send("keeper", m.Goodbye, reason="over")
    ends = pool.expect("run-2", m.PoolStatus, lambda status: status.stopping)
    assert not ends.keep
