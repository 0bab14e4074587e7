"""A temporary folder with its own pools, apart from the user's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil

from protocol.plan import PoolPlan
from protocol.pool import read_pool_card, read_worker_cards

_ROOT = Path(__file__).resolve().parents[1]
_END_SECONDS = 20.0


class PlaceError(Exception):
    """A pool did not come up, or has no such worker."""


class Place:
    """A temporary folder. Every process that is started from it has its path on the command line.

    ``home`` is the WARMBENCH_HOME of its commands, ``environment`` are their variables.
    """

    def __init__(self) -> None:
        # Under /tmp and short: a socket's path has at most 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="wb-", dir="/tmp"))
        self.home = self.root / "home"
        self.home.mkdir(mode=0o700)
        self.environment = {**os.environ, "WARMBENCH_HOME": str(self.home), "CI": "1"}
        self._launched: list[subprocess.Popen[bytes]] = []

    def launch(self, plan: PoolPlan) -> subprocess.Popen[bytes]:
        """Launch a pool from a plan, without waiting for its workers. Returns the launcher's process.

        Raises:
            PlaceError: it did not come up.
        """
        folder = self.home / plan.name
        folder.mkdir(mode=0o700)
        with (folder / "launcher.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers", "launch", "--folder", str(folder)],
                cwd=_ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._launched.append(process)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        with process.stdin as pipe:
            pipe.write(msgspec.json.encode(plan))
        deadline = time.monotonic() + _END_SECONDS
        while read_pool_card(folder) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PlaceError(f"pool {plan.name} did not come up: see {folder / 'launcher.log'}")
            time.sleep(0.02)
        return process

    def worker(self, pool: str, worker_id: str) -> psutil.Process:
        """The process of a worker of a running pool.

        Raises:
            PlaceError: there is none.
        """
        for card in read_worker_cards(self.home / pool):
            if card.worker_id == worker_id:
                return psutil.Process(card.pid)
        raise PlaceError(f"pool {pool} has no {worker_id}")

    def pool_processes(self, pool: str) -> list[psutil.Process]:
        """The launcher and the workers of a running pool."""
        folder = self.home / pool
        cards = [read_pool_card(folder), *read_worker_cards(folder)]
        return [psutil.Process(card.pid) for card in cards if card is not None]

    def stop(self, pool: str) -> None:
        """End the pool, if it is running."""
        card = read_pool_card(self.home / pool)
        if card is not None:
            with contextlib.suppress(psutil.Error):
                launcher = psutil.Process(card.pid)
                launcher.terminate()
                launcher.wait(_END_SECONDS)
        for process in self._launched:
            process.poll()

    def processes(self) -> list[psutil.Process]:
        """The running commands, launchers and workers of this place."""
        alive = []
        for pid in psutil.pids():
            with contextlib.suppress(psutil.Error, OSError):
                if self._owns(pid) and (process := psutil.Process(pid)).status() != psutil.STATUS_ZOMBIE:
                    alive.append(process)
        return alive

    def _owns(self, pid: int) -> bool:
        # psutil would read five times as much, and tests look often.
        return os.fsencode(self.root) in Path(f"/proc/{pid}/cmdline").read_bytes()

    def end_everything(self) -> None:
        """Kill all processes of this place and remove the folder."""
        deadline = time.monotonic() + _END_SECONDS
        # In a loop: a launcher may have started another worker just before it was killed.
        while (processes := self.processes()) and time.monotonic() < deadline:
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(processes, timeout=_END_SECONDS)
        for launched in self._launched:
            launched.wait(_END_SECONDS)
        shutil.rmtree(self.root, ignore_errors=True)
