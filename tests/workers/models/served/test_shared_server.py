"""A server that several workers share: one of them starts it, the last one stops it, and all learn how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.waiting import wait_until
from tests.workers.models.served.servers import FILES, Words, gone, processes, served
from workers.models.served.process import ServedProcess


def is_up(server: ServedProcess) -> bool:
    with urllib.request.urlopen(server.base_url.removesuffix("/v1")) as reply:  # noqa: S310 - it is on this machine
        return bool(reply.status == 200)


def test_workers_that_begin_at_once_start_one_server_which_the_last_of_them_stops(tmp_path: Path) -> None:
    workers = [Words(tmp_path) for _ in range(3)]
    servers = [served(words, FILES) for words in workers]
    with ThreadPoolExecutor() as threads:
        list(threads.map(ServedProcess.start, servers))
    found = processes(tmp_path)
    assert len(found) == 2, "the guard and the server"
    assert len({server.base_url for server in servers}) == 1
    for server in servers[:2]:
        server.close()
    assert is_up(servers[2])
    servers[2].close()
    assert gone(found)
    assert not any(words.broken for words in workers)
    assert not list(tmp_path.glob("*.sock"))


def test_all_learn_how_it_ended_and_the_next_one_starts_it_anew(tmp_path: Path) -> None:
    workers = [Words(tmp_path) for _ in range(2)]
    servers = [served(words, FILES) for words in workers]
    for server in servers:
        server.start()
    guard, leader = processes(tmp_path)
    leader.kill()
    wait_until(lambda: all(words.broken for words in workers))
    assert all(words.broken[0].startswith("its server has ended (SIGKILL)") for words in workers)
    again = served(workers[0], FILES)
    again.start()
    assert is_up(again)
    for server in (*servers, again):
        server.close()
    assert gone([guard, leader, *processes(tmp_path)])


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_the_server_to_the_others(tmp_path: Path) -> None:
    program = f"""
        import time
        from pathlib import Path
        from tests.workers.models.served.servers import FILES, Words, served
        served(Words(Path({str(tmp_path)!r})), FILES).start()
        print("ready", flush=True)
        time.sleep(1000)
    """
    words = Words(tmp_path)
    server = served(words, FILES)
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        server.start()
        starter.kill()
    found = processes(tmp_path)
    assert len(found) == 2
    third = served(Words(tmp_path), FILES)
    third.start()
    third.close()
    assert is_up(server)
    server.close()
    wait_until(lambda: gone(found))
    assert not words.broken


def test_a_server_of_another_model_ends_the_one_before_which_is_missed_only_if_it_is_used(tmp_path: Path) -> None:
    before, after = Words(tmp_path), Words(tmp_path)
    old = served(before, FILES)
    old.start()
    found = processes(tmp_path)
    new = served(after, [*FILES, "--directory", str(tmp_path)])
    new.start()
    assert gone(found), "the new one may need its GPUs"
    assert is_up(new)
    assert not before.outdated
    assert old.has_ended()
    assert not before.broken
    assert before.outdated == ["its server was ended by another worker, for a server of another model"]
    old.close()
    assert is_up(new)
    new.close()
    assert gone(processes(tmp_path))


def test_a_guard_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    words = Words(tmp_path)
    server = served(words, FILES)
    server.start()
    guard, leader = processes(tmp_path)
    os.kill(guard.pid, signal.SIGKILL)
    wait_until(lambda: words.broken)
    server.close()
    wait_until(lambda: gone([leader]))
    assert not list(tmp_path.glob("*.sock"))
    again = served(words, FILES)
    again.start()
    again.close()
