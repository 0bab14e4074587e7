"""A run or a command on the control socket of a launcher."""

from __future__ import annotations

import os
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol import messages as m
from protocol.plan import WorkerPlan
from protocol.processes import open_pidfd


@dataclass
class ControlClient:
    """A run, or a command, on the control socket. ``process`` is a pidfd, set when the client asks for the lease.

    ``key`` is the public key of its connection over TCP, ``last_heard`` the time of its last message, on the monotonic
    clock. Over TCP, a client with the lease (``leases``) is gone when it is silent for ``dead_after_seconds``. The
    pool is up for as long as a client ``keeps`` it.
    """

    identity: bytes
    last_heard: float
    dead_after_seconds: float
    key: str | None = None
    process: int | None = None
    leases: bool = False
    keeps: bool = False

    def why_gone(self, ready: Container[object], away: float) -> str | None:
        """Return why it has left, if it has. ``away``: the time for which nobody could be heard."""
        now = time.monotonic()
        self.last_heard = min(now, self.last_heard + away)
        if self.process is not None:
            return "its process has ended" if self.process in ready else None
        if self.leases and now - self.last_heard > self.dead_after_seconds:
            return f"it was not heard for {self.dead_after_seconds:g} s: its lease ends"
        return None


def silent_longest(clients: Mapping[str, ControlClient]) -> str | None:
    """Return the run that was silent longest, of those without a lease; None if all have one."""
    listening = [run for run, client in clients.items() if client.process is None and not client.leases]
    return min(listening, key=lambda run: clients[run].last_heard, default=None)


def is_kept(clients: Mapping[str, ControlClient]) -> bool:
    """Whether a client keeps the pool up."""
    return any(client.keeps for client in clients.values())


def open_own_process(pid: int | None, created: float | None) -> int | None:
    """Return a pidfd of this very process, or None if it has ended or is another user's."""
    if pid is None or created is None:
        return None
    descriptor = open_pidfd(pid, created)
    if descriptor is not None and not _is_own(pid):
        os.close(descriptor)
        return None
    return descriptor


def _is_own(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}").stat().st_uid == os.getuid()
    except OSError:
        return False


def chooses_program(message: m.Reload, plan: WorkerPlan) -> bool:
    """Whether it would have the worker run another program than its plan says."""
    server = message.spec.params.get("server")
    return message.command not in (None, plan.command) or (bool(server) and server != plan.spec.params.get("server"))
