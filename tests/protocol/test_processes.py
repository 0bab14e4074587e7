"""Real processes: whether one is alive, and when it ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from protocol.processes import create_time, is_alive, open_pidfd


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until its standard input is closed, or it is killed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def _readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def _unused_pid() -> int:
    return int(Path("/proc/sys/kernel/pid_max").read_text())


def test_this_process_is_alive() -> None:
    assert is_alive(os.getpid(), create_time(os.getpid()))


def test_two_readings_of_one_creation_time_agree(child: subprocess.Popen[bytes]) -> None:
    assert abs(create_time(child.pid) - psutil.Process(child.pid).create_time()) < 0.1


@pytest.mark.parametrize("shift", [-10.0, 10.0, float("inf"), float("nan")])
def test_a_reused_pid_is_another_process(child: subprocess.Popen[bytes], shift: float) -> None:
    created = create_time(child.pid) + shift
    assert not is_alive(child.pid, created)
    assert open_pidfd(child.pid, created) is None


def test_a_zombie_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    created = create_time(child.pid)
    with os.fdopen(os.pidfd_open(child.pid)) as ended:
        child.kill()
        assert _readable(ended.fileno(), 10)
    # It has ended, and its exit code has not been read.
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert not is_alive(child.pid, created)
    assert open_pidfd(child.pid, created) is None


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_the_pidfd_becomes_readable_when_the_process_ends(child: subprocess.Popen[bytes], end: str) -> None:
    descriptor = open_pidfd(child.pid, create_time(child.pid))
    assert descriptor is not None
    try:
        assert not _readable(descriptor, 0)
        if end == "killed":
            os.kill(child.pid, signal.SIGKILL)
        else:
            assert child.stdin is not None
            child.stdin.close()
        assert _readable(descriptor, 10)
        child.wait()
        assert _readable(descriptor, 0)
    finally:
        os.close(descriptor)


def test_a_process_that_has_ended_is_not_alive_and_has_no_pidfd(child: subprocess.Popen[bytes]) -> None:
    created = create_time(child.pid)
    child.kill()
    child.wait()
    assert not is_alive(child.pid, created)
    assert open_pidfd(child.pid, created) is None
    with pytest.raises(ProcessLookupError, match=f"no process {child.pid}"):
        create_time(child.pid)


@pytest.mark.parametrize("pid", [-1, 0, _unused_pid(), 2**31, 2**63, 2**80])
def test_an_invalid_pid_is_no_process(pid: int) -> None:
    assert not is_alive(pid, 1.0)
    assert open_pidfd(pid, 1.0) is None
    with pytest.raises(ProcessLookupError):
        create_time(pid)


def test_a_thread_id_has_no_pidfd() -> None:
    pidfds: list[int | None] = []

    def look() -> None:
        pidfds.append(open_pidfd(threading.get_native_id(), create_time(os.getpid())))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert pidfds == [None]


def test_no_descriptor_is_left_open_without_a_process(child: subprocess.Popen[bytes]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        assert open_pidfd(child.pid, 1.0) is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before
