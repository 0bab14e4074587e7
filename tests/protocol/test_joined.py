"""Folders of workers that have joined: kept while their worker lives, removed by whoever comes next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from protocol import PROTOCOL_VERSION, VERSION
from protocol.joined import (
    Members,
    clear_dead_workers,
    end_waiting_workers,
    read_members,
    worker_card,
    worker_folder,
    write_members,
)
from protocol.pool import WorkerCard, write_card
from protocol.processes import create_time

_WORK = """
import sys
from protocol.joined import worker_folder
with worker_folder("life") as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def card_of(pid: int) -> WorkerCard:
    return WorkerCard(
        worker_id="editor-0",
        role="editor",
        incarnation="life",
        endpoint="tcp://127.0.0.1:9",
        pid=pid,
        pid_create_time=create_time(pid),
        device="cpu",
        model=None,
        protocol_version=PROTOCOL_VERSION,
        version=VERSION,
        started=0.0,
    )


def test_the_folder_of_a_killed_worker_is_removed_and_that_of_a_living_one_is_not(pools: Path) -> None:
    command = [sys.executable, "-c", _WORK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        folder = Path(worker.stdout.readline().strip())
        assert folder.parent == pools
        clear_dead_workers()
        assert folder.is_dir()
        worker.kill()
        worker.wait()
        assert folder.is_dir()
        clear_dead_workers()
        assert not folder.exists()


def test_a_worker_removes_its_own_folder(pools: Path) -> None:
    with worker_folder("life") as folder:
        assert folder == pools / "joined-life"
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.parametrize(("now", "number"), [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_workers_that_wait_for_a_launcher_are_ended(pools: Path, now: bool, number: int) -> None:
    pool = pools / "pool"
    with worker_folder("life") as folder, subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as worker:
        pool.mkdir()
        write_card(folder / "editor-0.json", card_of(worker.pid))
        write_members(pool, Members(incarnations={"editor-0": "life", "editor-1": "gone", "editor-2": "../life"}))
        assert end_waiting_workers(pool, now=now) == ["editor-0"]
        assert worker.wait() == -number
    assert read_members(pool) == Members()


def test_a_worker_is_known_by_its_name_and_incarnation_only(pools: Path) -> None:
    with worker_folder("life") as folder:
        write_card(folder / "editor-0.json", card_of(os.getpid()))
        found = worker_card("editor-0", "life")
        assert found is not None
        assert found.pid == os.getpid()
        assert worker_card("editor-1", "life") is None
        assert worker_card("editor-0", "other") is None
        assert worker_card("editor-0", "../home/joined-life") is None
    assert pools.is_dir()
