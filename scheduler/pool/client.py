"""A run's connection to a pool's launcher, and finding or launching a pool."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.plan import EXIT_TAKEN, PoolPlan
from protocol.pool import PoolCard, check_name, home, pool_folder, read_pool_card
from protocol.processes import create_time, open_pidfd
from protocol.sockets import Link

_LAUNCH_SECONDS = 30.0
_TAKEN_PAUSE = 0.5
_LOG_LINES = 15


class PoolUnavailableError(Exception):
    """The pool cannot be used: it is not up, or did not come up."""


class PoolGoneError(PoolUnavailableError):
    """The pool was up a moment ago."""


class PoolClient:
    """The connection to a pool's launcher. ``process`` is a pidfd: readable as soon as the launcher is gone.

    ``attached``: the pool was up before it was wanted.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        name: str,
        folder: Path,
        card: PoolCard,
        run: str,
        *,
        attached: bool = True,
    ) -> None:
        process = open_pidfd(card.pid, card.pid_create_time)
        if process is None:
            raise PoolGoneError(f"the launcher of pool {name} (pid {card.pid}) has just ended")
        self.process = process
        self.name = name
        self.attached = attached
        self.folder = folder
        self.link = Link(context, card.endpoint)
        self._run = run
        self.link.send(m.Hello(run=run, incarnation="any", protocol_version=PROTOCOL_VERSION, version=VERSION))

    def request_lease(self, mode: m.LeaseMode, *, keep_warm: bool) -> None:
        """Ask for the lease; ``Granted`` or ``Waiting`` answers."""
        self.link.send(
            m.Lease(
                run=self._run,
                incarnation="any",
                mode=mode,
                pid=os.getpid(),
                pid_create_time=create_time(os.getpid()),
                keep_warm=keep_warm,
            )
        )

    def reload(self, worker_id: str, spec: m.ModelSpec, epoch: int, command: Sequence[str] | None) -> None:
        """Have this worker replace its model; with a ``command``, in a new process of that."""
        self.link.send(
            m.Reload(
                run=self._run,
                incarnation="any",
                epoch=epoch,
                worker_ids=[worker_id],
                spec=spec,
                command=list(command) if command else None,
            )
        )

    def stop(self, *, now: bool) -> None:
        """End the pool."""
        self.link.send(m.Stop(run=self._run, incarnation="any", now=now))

    def close(self) -> None:
        """Leave the pool; it ends if it was launched for this run and no other run uses it."""
        self.link.send(m.Goodbye(run=self._run, incarnation="any", reason="the run is over"))
        self.link.close()
        os.close(self.process)


def find(name: str) -> tuple[Path, PoolCard | None]:
    """Return the pool's folder, and its card if it is up. Raises ``protocol.pool.PoolError``."""
    folder = pool_folder(name)
    return folder, read_pool_card(folder)


def card_of(name: str) -> PoolCard | None:
    """Return the card of the pool if it is up; nothing is made on the disk. Raises ``protocol.pool.PoolError``."""
    return read_pool_card(home() / check_name(name))


def launch(folder: Path, plan: PoolPlan) -> PoolCard:
    """Start a launcher and return its card, or that of another launcher that was faster.

    Raises ``PoolUnavailableError`` with the end of the log if none came up.
    """
    log = folder / "launcher.log"
    deadline = time.monotonic() + _LAUNCH_SECONDS
    process = _start(folder, plan, log)
    while time.monotonic() < deadline:
        card = read_pool_card(folder)
        if card is not None:
            return card
        code = process.poll()
        if code == EXIT_TAKEN:
            # Another launcher has the pool: it is about to show its card, or to end.
            time.sleep(_TAKEN_PAUSE)
            process = _start(folder, plan, log)
        elif code is not None:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise PoolUnavailableError(f"the launcher of pool {plan.name} did not come up:\n{tail(log)}")


def _start(folder: Path, plan: PoolPlan, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers", "launch", "--folder", str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Logs are UTF-8, whatever the terminal is that the pool was started in.
            env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
            start_new_session=True,
        )
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(msgspec.json.encode(plan))
    return process


def tail(log: Path) -> str:
    """The last lines of a log, and where it is."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join([*lines, f"(the whole log: {log})"])
