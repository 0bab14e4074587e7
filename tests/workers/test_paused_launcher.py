"""A launcher that did not run for a while has heard nobody, and takes nobody for silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.keys import PoolKeys, new_pair, read_client_keys
from protocol.plan import PoolPlan, WorkerPlan
from protocol.sockets import Link
from tests.protocol.curve import connect
from tests.waiting import wait_until
from workers.launcher import Launcher
from workers.pauses import Pauses

WORKERS = 80
"""More than a turn of the loop reads messages."""
DEAD_AFTER = 1.0
SPEC = m.ModelSpec(role="editor", type="simulated")


def test_a_pause_is_a_turn_that_comes_late() -> None:
    pauses = Pauses(10.0)
    assert [pauses.at_turn(now) for now in (10.2, 10.6, 14.6, 14.8)] == [0.0, 0.0, 4.0, 0.0]


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    """Its workers join; the test drives its loop."""
    workers = [
        WorkerPlan(worker_id=f"editor-{n}", role="editor", device="cpu", spec=SPEC, residency="device", command=[])
        for n in range(WORKERS)
    ]
    plan = PoolPlan(
        name="pool",
        workers=workers,
        keep=False,
        heartbeat_seconds=3600,
        dead_after_seconds=DEAD_AFTER,
        transport="tcp",
        placer="join",
    )
    made = Launcher(plan, tmp_path)
    for worker in made._workers.values():
        worker.start()
    yield made
    made._clean_up()


def join(number: int, port: int, server_key: str) -> m.Join:
    return m.Join(
        run=f"worker-{number}",
        incarnation=f"life-{number}",
        role="editor",
        protocol_version=PROTOCOL_VERSION,
        version=VERSION,
        host="node",
        pid=1,
        device="cpu",
        endpoint=f"tcp://127.0.0.1:{port}",
        server_key=server_key,
        state=m.WorkerState(phase="starting"),
    )


@pytest.mark.slow
def test_who_spoke_while_the_launcher_was_stopped_is_not_silent(
    launcher: Launcher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = PoolKeys(tmp_path)
    server_key = new_pair().public
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]

        def link(key: Path) -> Link:
            return stack.enter_context(connect(context, launcher._listener.endpoint, read_client_keys(key)))

        links = [link(keys.join_key) for _ in range(WORKERS)]
        run = link(keys.run_key)

        def speak() -> None:
            for number, worker in enumerate(links):
                worker.send(join(number, port, server_key))
            run.send(m.Heartbeat(run="run", incarnation="any"))

        def everybody_is_there() -> bool:
            speak()
            launcher._turn()
            workers = launcher._workers.values()
            return all(worker.alive for worker in workers) and launcher._leases.holders == ("run",)

        run.send(
            m.Hello(
                run="run",
                incarnation="any",
                protocol_version=PROTOCOL_VERSION,
                version=VERSION,
                dead_after_seconds=DEAD_AFTER,
            )
        )
        run.send(m.Lease(run="run", incarnation="any", mode="shared"))
        wait_until(everybody_is_there, seconds=60)
        speak()
        threading.Event().wait(1.2 * DEAD_AFTER)
        speak()
        for _ in range(2 + WORKERS // 64):
            launcher._turn()
    assert all(worker.alive for worker in launcher._workers.values())
    assert launcher._leases.holders == ("run",)
    assert "died" not in caplog.text
