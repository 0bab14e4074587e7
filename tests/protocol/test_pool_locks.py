"""Locks between real processes: one holder at a time, and the kernel releases a dead holder's lock."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.pool import locked, try_lock

_HOLD = """
import sys
from pathlib import Path
from protocol.pool import try_lock
print(try_lock(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def _holder(path: Path) -> Iterator[tuple[subprocess.Popen[str], bool]]:
    """A process that has tried to take the lock, and whether it has it. It ends with its standard input."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline() == "True\n"


def test_a_second_lock_attempt_returns_none_until_the_first_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "launcher.lock"
    first = try_lock(path)
    assert first is not None
    assert try_lock(path) is None
    os.close(first)
    second = try_lock(path)
    assert second is not None
    os.close(second)


def test_refused_attempts_leave_no_descriptor_open(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        before = _open_descriptors()
        for _ in range(20):
            assert try_lock(tmp_path / "lock") is None
        assert _open_descriptors() == before


def test_a_lock_file_is_closed_to_others_and_not_inherited(tmp_path: Path) -> None:
    descriptor = try_lock(tmp_path / "lock")
    assert descriptor is not None
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_another_process_is_refused_while_this_one_holds_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), _holder(tmp_path / "lock") as (_, has_it):
        assert not has_it


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with _holder(path) as (process, has_it):
        assert has_it
        assert try_lock(path) is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        descriptor = try_lock(path)
        assert descriptor is not None
        os.close(descriptor)


def test_waiting_for_a_lock_ends_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "load.lock"
    entered = threading.Event()

    def wait() -> None:
        with locked(path):
            entered.set()

    with _holder(path) as (process, has_it):
        assert has_it
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not entered.is_set()
        process.kill()
        assert entered.wait(10)
        waiter.join()


def test_a_lock_is_released_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    try:
        with locked(path):
            assert try_lock(path) is None
            raise RuntimeError
    except RuntimeError:
        pass
    with locked(path):
        pass
