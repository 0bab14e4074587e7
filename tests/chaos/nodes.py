"""Machines of a pool whose workers join: each has one worker, and is replaced when it ends."""

from __future__ import annotations

import abc
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from protocol.pool import read_pool_card, read_worker_cards
from tests.harness import User

_LOOK_SECONDS = 0.1


class Machines(abc.ABC):
    """Where workers are that the launcher does not start itself. ``section`` is what the config says about it."""

    section: Mapping[str, Any] = {}

    @abc.abstractmethod
    def start(self) -> None:
        """From now on there are workers, or can be."""

    @abc.abstractmethod
    def find(self, who: str) -> psutil.Process | None:
        """The worker of this machine, if it lives."""

    @abc.abstractmethod
    def kill(self, who: str) -> bool:
        """The machine ends; False if it has no worker now."""

    @abc.abstractmethod
    def close(self) -> list[str]:
        """End all of them; return what has outlived its pool."""


class Nodes(Machines):
    """Has a worker join for each of these roles, again after each end, until ``close``."""

    def __init__(self, user: User, pool: str, roles: Sequence[str]) -> None:
        self.section = {"listen": "127.0.0.1", "editors": roles.count("editor"), "rewards": roles.count("reward")}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._user = user
        self._pool = pool
        self._roles = roles
        self._key = user.folder / "node.key"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._joined: dict[str, str] = {}
        self._over = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            card = read_pool_card(self._user.home / self._pool)
            if card is None or not self._has_key():
                continue
            for number, role in enumerate(self._roles):
                name = f"node-{number}"
                if self._joined.get(name) not in (None, card.endpoint):
                    self.kill(name)  # it waits for a launcher that is no more
                known = self._running.get(name)
                if known is None or known.poll() is not None:
                    self._joined[name] = card.endpoint
                    self._running[name] = self._start(card.endpoint, role)

    def find(self, who: str) -> psutil.Process | None:
        known = self._running.get(who)
        if known is not None and known.poll() is None:
            with contextlib.suppress(psutil.Error):
                return psutil.Process(known.pid)
        return None

    def kill(self, who: str) -> bool:
        """Its disk is gone as well."""
        known = self._running.get(who)
        if known is None or known.poll() is not None:
            return False
        folder = self._folder_of(known.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(known.pid, signal.SIGKILL)
        known.wait()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return True

    def close(self) -> list[str]:
        self._over.set()
        self._thread.join()
        left = []
        for name, process in self._running.items():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                if self._folder_of(process.pid) is not None:  # without one it has never joined, and waits to do so
                    left.append(f"the worker of {name}")
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for folder in self._user.home.glob("joined-*"):
            shutil.rmtree(folder, ignore_errors=True)
        self._key.unlink(missing_ok=True)
        return left

    def _has_key(self) -> bool:
        if not self._key.exists():
            self._user.run("workers", "keys", "--pool", self._pool, "--for", "worker", "--to", self._key)
        return self._key.exists()

    def _start(self, endpoint: str, role: str) -> subprocess.Popen[bytes]:
        with (self._user.home / f"{self._pool}-nodes.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "workers", "join", endpoint, "--key", str(self._key), "--role", role],
                env=self._user.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _folder_of(self, pid: int) -> Path | None:
        folders = self._user.home.glob("joined-*")
        return next((path for path in folders if any(card.pid == pid for card in read_worker_cards(path))), None)
