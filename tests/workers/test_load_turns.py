"""How many loads run at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from protocol.pool import locked, try_lock
from tests.waiting import wait_until
from workers.load_turns import QUEUE_LOCK, load_turn

GB = 10**9

HOLDER = """
import sys
from pathlib import Path
from workers.load_turns import load_turn
needed = None if sys.argv[2] == "None" else int(sys.argv[2])
with load_turn(Path(sys.argv[1]), needed, lambda: 100 * 10**9):
    print("loading", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_load(folder: Path, needed: int | None) -> Iterator[subprocess.Popen[str]]:
    """Another process that loads until its standard input is closed."""
    command = [sys.executable, "-c", HOLDER, str(folder), str(needed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "loading\n"
        yield process
        process.stdin.close()


class Load:
    """A load in a thread, with 100 GB of memory."""

    def __init__(self, folder: Path, needed: int | None, available: int = 100 * GB) -> None:
        self.begun = threading.Event()
        self._end = threading.Event()

        def work() -> None:
            with load_turn(folder, needed, lambda: available):
                self.begun.set()
                self._end.wait()

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def waits(folder: Path) -> bool:
    """Whether a load waits for its turn."""
    lock = try_lock(folder / QUEUE_LOCK)
    if lock is not None:
        os.close(lock)
    return lock is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "loads"


def test_a_load_straight_to_a_device_waits_for_nobody(folder: Path) -> None:
    folder.mkdir()
    with locked(folder / QUEUE_LOCK), load_turn(folder, 0):
        assert not list(folder.glob("*.reserved"))


def test_loads_run_at_once_while_their_memory_fits(folder: Path) -> None:
    with another_load(folder, 60 * GB), Load(folder, 40 * GB) as second:
        assert second.begun.wait(20)


@pytest.mark.parametrize(("first", "second"), [(60 * GB, 41 * GB), (None, GB), (GB, None)])
def test_a_load_that_does_not_fit_beside_the_others_waits_for_them(
    folder: Path, first: int | None, second: int | None
) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(another_load(folder, first))
        load = stack.enter_context(Load(folder, second))
        wait_until(lambda: waits(folder))
        assert not load.begun.is_set()
        other.kill()  # it releases nothing itself
        assert load.begun.wait(20)


def test_a_load_larger_than_the_memory_runs_alone(folder: Path) -> None:
    with Load(folder, 500 * GB) as load:
        assert load.begun.wait(20)


def test_what_a_load_has_reserved_is_gone_afterwards(folder: Path) -> None:
    with load_turn(folder, GB):
        assert [path.read_text() for path in folder.glob("*.reserved")] == [str(GB)]
    assert not list(folder.glob("*.reserved"))


def test_loads_of_two_containers_may_have_the_same_pid(folder: Path) -> None:
    with Load(folder, GB) as one, Load(folder, GB) as other:
        assert one.begun.wait(20)
        assert other.begun.wait(20)
