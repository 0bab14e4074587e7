"""A run's connection to a pool's launcher, and finding or launching a pool."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.plan import EXIT_TAKEN, PoolPlan
from protocol.pool import PoolCard, check_name, home, pool_folder, read_pool_card
from protocol.processes import create_time, has_ended, open_pidfd
from scheduler.pool.address import PoolAddress, PoolGoneError, PoolUnavailableError

_LAUNCH_SECONDS = 30.0
_TAKEN_PAUSE = 0.5
_LOG_LINES = 15


class PoolEnd:
    """Waits for the end of a launcher on this machine, also after the connection to it is closed."""

    def __init__(self, card: PoolCard | None) -> None:
        """``card`` is the launcher's, None for one on another machine."""
        self._process = None if card is None else open_pidfd(card.pid, card.pid_create_time)

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended in this time; a launcher elsewhere counts as ended."""
        return self._process is None or has_ended(self._process, seconds)

    def close(self) -> None:
        """Stop watching."""
        if self._process is not None:
            os.close(self._process)


class PoolClient:
    """The connection to a pool's launcher.

    ``attached``: the pool was up before it was wanted. ``replaceable``: the run may take another pool instead, if it
    has not begun. The end of a launcher on this machine is noticed at once, that of another one by its silence.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: PoolAddress,
        run: str,
        *,
        attached: bool = True,
        replaceable: bool = False,
        dead_after_seconds: float = 10.0,
    ) -> None:
        card = address.card
        self._process: int | None = None
        if card is not None:
            self._process = open_pidfd(card.pid, card.pid_create_time)
            if self._process is None:
                raise PoolGoneError(f"the launcher of pool {address.name} (pid {card.pid}) has just ended")
        self.address = address
        self.name = address.name
        self.attached = attached
        self.replaceable = replaceable
        server_key = address.keys.server if address.keys is not None else None
        self.link = address.link(context, address.endpoint, server_key)
        self._run = run
        self._dead_after_seconds = dead_after_seconds
        self._heard_at = self._beat_at = self._connected_at = time.monotonic()
        self.hello()

    def hello(self) -> None:
        """Introduce the run, for the first time or after the launcher's silence."""
        self.link.send(
            m.Hello(
                run=self._run,
                incarnation="any",
                protocol_version=PROTOCOL_VERSION,
                version=VERSION,
                dead_after_seconds=self._dead_after_seconds,
            )
        )

    def connect_again(self) -> None:
        """Make a new connection to a launcher that is silent, now and then: there may be a new one by now."""
        now = time.monotonic()
        if now - self._connected_at > self._dead_after_seconds / 2:
            self._connected_at = now
            self.link = self.link.again()
            self.hello()

    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop for messages, and for the launcher's end."""
        poller.register(self.link.socket, zmq.POLLIN)
        if self._process is not None:
            poller.register(self._process, zmq.POLLIN)

    def has_ended(self, ready: Mapping[object, int]) -> bool:
        """Whether the launcher has ended, if it is on this machine; one elsewhere is silent."""
        return self._process is not None and self._process in ready

    def disconnect(self) -> None:
        """Say no more: the launcher has ended, and the next one, at the same address, would take it for its own run."""
        self.link.disconnect()

    def await_next(self) -> None:
        """Over TCP: wait for the next launcher instead, which is another process."""
        self._watch_no_process()

    def _watch_no_process(self) -> None:
        if self._process is not None:
            os.close(self._process)
            self._process = None

    def end(self) -> PoolEnd:
        """Return what waits for the launcher's end; the caller closes it."""
        return PoolEnd(self.address.card)

    def heard(self) -> None:
        """Note that the launcher was heard."""
        self._heard_at = time.monotonic()

    @property
    def silent_seconds(self) -> float:
        """How long a launcher that is reached over TCP was not heard, else 0."""
        return time.monotonic() - self._heard_at if self.address.over_tcp else 0.0

    def beat(self, interval: float) -> None:
        """Send a heartbeat if one is due. Unless over TCP, the launcher watches the run's process instead."""
        now = time.monotonic()
        if self.address.over_tcp and now - self._beat_at >= interval:
            self._beat_at = now
            self.link.send(m.Heartbeat(run=self._run, incarnation="any"))

    def request_lease(self, mode: m.LeaseMode | None, *, keep_warm: bool) -> None:
        """Ask for the lease; ``Granted`` or ``Waiting`` answers. None keeps the pool up, until this client leaves."""
        pid = None if self.address.over_tcp else os.getpid()
        self.link.send(
            m.Lease(
                run=self._run,
                incarnation="any",
                mode=mode,
                pid=pid,
                pid_create_time=create_time(pid) if pid is not None else None,
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
        self._watch_no_process()


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
            # Waits for its end, which may come before that of this process.
            threading.Thread(target=process.wait, name="launcher", daemon=True).start()
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
