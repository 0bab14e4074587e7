"""A process of the scheduler under observation: its output, its ledger, and the processes of its pool."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from protocol.pool import WorkerCard, read_pool_card, read_worker_cards
from tests.harness import User

SPARE_DESCRIPTORS = 3
"""This many more than before are no leak: connections open and close."""

_KINDS = ("planned", "edited", "scored")


@dataclass(frozen=True)
class Ended:
    """How the process ended. ``hung``: it did not end in time and was killed."""

    code: int
    output: str
    seconds: float
    hung: bool = False


class Observed:
    """A command, with a thread that reads its output."""

    def __init__(self, user: User, output: Path, arguments: list[str | Path]) -> None:
        self.output = output
        self.started = time.monotonic()
        self._rows_before = count_rows(newest_run(output))
        self._process = user.start(*arguments)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The scheduler's process id."""
        return self._process.pid

    @property
    def text(self) -> str:
        """Its output until now."""
        return "".join(self._lines)

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._process.poll() is None

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    def new_rows(self, event: str) -> int:
        """How many rows of this kind the ledger has more than at the start."""
        return count_rows(newest_run(self.output))[event] - self._rows_before[event]

    def wait(self, seconds: float) -> Ended:
        """Wait for its end, and kill it if it does not end in time."""
        hung = False
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = True
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        return Ended(self._process.returncode, self.text, self.seconds, hung)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.append(line)


def newest_run(output: Path) -> Path | None:
    """The folder of the newest run, if there is any: stamps sort by time."""
    with contextlib.suppress(FileNotFoundError):
        return max(output.joinpath("runs").iterdir(), key=lambda path: path.stat().st_mtime_ns, default=None)
    return None


def count_rows(run: Path | None) -> Counter[str]:
    """How many rows of each kind the ledger has."""
    counts: Counter[str] = Counter()
    if run is not None:
        with contextlib.suppress(FileNotFoundError):
            content = (run / "results.jsonl").read_bytes()
            for kind in _KINDS:
                counts[kind] = content.count(b'"event":"%s"' % kind.encode())
    return counts


def find_process(folder: Path, who: str, scheduler: int) -> psutil.Process | None:
    """The launcher or the worker of this pool, as soon as it exists: by its card, or before that as a descendant of the
    scheduler's.
    """
    with contextlib.suppress(psutil.Error):
        if who == "launcher":
            card = read_pool_card(folder)
            if card is not None:
                return psutil.Process(card.pid)
        for worker in _worker_cards(folder):
            if worker.worker_id == who:
                return psutil.Process(worker.pid)
        wanted = ("launch",) if who == "launcher" else ("--worker-id", who)
        for child in psutil.Process(scheduler).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                line = child.cmdline()
                if all(word in line for word in wanted) or any(f"{who} on" in part for part in line):
                    return child
    return None


def endpoint_of(folder: Path, who: str) -> str | None:
    """The endpoint of the launcher or worker, if it listens already."""
    if who == "launcher":
        card = read_pool_card(folder)
        return card.endpoint if card else None
    return next((card.endpoint for card in _worker_cards(folder) if card.worker_id == who), None)


def _worker_cards(folder: Path) -> list[WorkerCard]:
    """Over TCP each worker has a folder of its own beside the pool's."""
    return [card for place in (folder, *folder.parent.glob("joined-*")) for card in read_worker_cards(place)]


def open_descriptors(folder: Path) -> dict[int, int]:
    """How many descriptors each worker of the pool has open, by its process."""
    found = {}
    for card in read_worker_cards(folder):
        with contextlib.suppress(psutil.Error):
            found[card.pid] = psutil.Process(card.pid).num_fds()
    return found


def send_signal(process: psutil.Process, number: int) -> bool:
    """Send a signal; False if the process does not exist."""
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True


def wake(process: psutil.Process) -> None:
    """Continue a stopped process, if it still exists."""
    send_signal(process, signal.SIGCONT)
