"""Hostile requests for the lease and on the life socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from protocol import messages as m
from protocol.processes import create_time
from tests.waiting import wait_until
from tests.workers.attacked_pool import Pool
from workers import control_client
from workers import launcher as launcher_module


def test_a_lease_for_another_users_process_is_refused(pool: Pool) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can start a process as another user")
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=65534) as process:
        other = pool.client("other", launcher=True)
        other.hello()
        other.send(m.Lease, mode="exclusive", pid=process.pid, pid_create_time=create_time(process.pid))
        assert "another user's" in other.expect(m.Refused).message
        assert pool.status().waiting == []
        process.communicate()


def test_a_lease_in_the_name_of_pid_1_ends_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.workers.test_launcher import Pool as TurnedByHand

    monkeypatch.setattr(control_client, "_is_own", lambda pid: True)
    monkeypatch.setattr(launcher_module, "_SILENT_SECONDS", 0.0)
    folder = Path(tempfile.mkdtemp(prefix="wb-", dir="/tmp"))
    turned = TurnedByHand(folder)
    try:
        turned.client("liar")
        turned.send("liar", m.Lease, mode="exclusive", pid=1, pid_create_time=create_time(1))
        turned.expect("liar", m.Granted)
        turned.client("honest")
        turned.links.pop("liar").close()

        def fallen() -> bool:
            turned.launcher._changed = True
            turned.launcher._turn()
            return turned.launcher._leases.holders == ()

        wait_until(fallen, seconds=20)
    finally:
        for link in turned.links.values():
            link.close()
        turned.context.term()
        turned.launcher._clean_up()
        shutil.rmtree(folder)


LIFE_LINES: list[Callable[[Pool], bytes]] = [
    lambda pool: b"",
    lambda pool: b"\xff" * 100,
    lambda pool: b"[" * 4000,
    lambda pool: b'{"worker_id": []}',
    lambda pool: b'{"worker_id": "editor-9", "incarnation": "x"}',
    lambda pool: json.dumps({"worker_id": "editor-0", "incarnation": "x", "pid": 1, "endpoint": "x"}).encode(),
    # The right incarnation, a pid that means all processes of this user, and a false endpoint.
    lambda pool: json.dumps(
        {"worker_id": "editor-0", "incarnation": pool.incarnation, "pid": -1, "endpoint": "tcp://127.0.0.1:1"}
    ).encode(),
]


@pytest.mark.parametrize("line", range(len(LIFE_LINES)))
def test_the_life_socket_closes_connections_that_are_not_a_workers(pool: Pool, line: int) -> None:
    (path,) = pool.folder.glob("life-*.sock")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(20)
        stranger.connect(str(path))
        stranger.sendall(LIFE_LINES[line](pool))
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(10) == b"", "closed"


def test_many_silent_connections_do_not_block_the_life_socket(pool: Pool) -> None:
    (path,) = pool.folder.glob("life-*.sock")
    silent = []
    for _ in range(200):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].connect(str(path))
    silent[0].settimeout(20)
    assert silent[0].recv(10) == b"", "the oldest is closed for the newest"
    launcher = psutil.Process(pool.launcher.pid)
    wait_until(lambda: launcher.num_fds() < 200)
    for connection in silent:
        connection.close()
