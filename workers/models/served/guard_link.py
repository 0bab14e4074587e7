"""The connection of a worker to the guard of its server, which all workers of one role on one machine share.

The guard's socket lies in the folder of all pools, under a name that is the pool's and the role's. The first worker
finds none and starts the guard; the others connect to it. Where the server is another one than a worker wants, the pool
has been told to load another model: the worker ends that server first, since the new one may need its GPUs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from protocol.processes import has_ended
from workers.interface import ModelError
from workers.models.served.guard import LEAVE, REPLACE

_POLL_SECONDS = 0.05
_MOST_LINE_BYTES = 1 << 20


class GuardLink:
    """The connection, once the server has started. ``listen`` is for any thread."""

    def __init__(self, connection: socket.socket, unread: bytes, greeting: Mapping[str, Any]) -> None:
        self._connection = connection
        self._unread = unread
        self._lock = threading.Lock()
        self._guard = os.pidfd_open(greeting["guard"])
        self.server: str = greeting["server"]
        self.port: int = greeting["port"]
        self.log = Path(greeting["log"])
        self.log_begins: int = greeting.get("log_begins", 0)
        """Where this server's own lines begin, in bytes: those before are of earlier ones."""
        self.pid: int = greeting["pid"]
        """The server's process, which leads its group."""
        self.replaced = False
        self.ended = False
        self.code: int | None = None
        """The server's exit code, negative after a signal; None if the guard was killed."""

    def listen(self, seconds: float) -> bool:
        """Whether the server has ended, or this worker has left; waits so long for it."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        deadline = time.monotonic() + seconds
        while not self.ended and poll.poll(1000 * max(0.0, deadline - time.monotonic())):
            with self._lock:
                self._read()
        return self.ended

    def _read(self) -> None:
        try:
            part = self._connection.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        *lines, self._unread = (self._unread + part).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.replaced = self.replaced or said.get("replaced", False)
            self.code = said.get("code", self.code)
        self.ended = self.ended or not part

    def leave(self, seconds: float, word: bytes = LEAVE) -> None:
        """Leave, or have the server end for all, and wait until that is done. A guard that takes longer is killed."""
        with contextlib.suppress(OSError):
            self._connection.sendall(word)
        if not self.listen(seconds):
            signal.pidfd_send_signal(self._guard, signal.SIGKILL)
            self.listen(seconds)
        if word != LEAVE or self.code is not None:
            self.wait_for_guard(seconds)

    def wait_for_guard(self, seconds: float) -> None:
        """Wait for the end of the guard, which is about to end."""
        has_ended(self._guard, seconds)
        if self.guard_was_killed:  # and its server with it, but not what that had started
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    @property
    def guard_was_killed(self) -> bool:
        return self.code is None and has_ended(self._guard)

    def close(self) -> None:
        """Close the connection; no other thread uses it any more."""
        self._connection.close()
        os.close(self._guard)


def attach(
    folder: Path,
    name: str,
    server: str,
    make_order: Callable[[], dict[str, Any]],
    seconds: float,
    progressed: Callable[[], None],
) -> GuardLink:
    """Connect to the guard of this server, which is started first if there is none.

    ``server`` tells it from others. ``seconds``: how long it takes at most to end another one.

    Raises:
        ModelError: of kind ``server``: its command cannot be run.
    """
    with _turn(folder, progressed) as descriptor:
        path = f"/proc/self/fd/{descriptor}/{name}.sock"  # the path of a socket may have 107 bytes
        while (connection := _connect(path)) is not None:
            link = _greeted(connection, progressed)
            if link is not None and link.server == server:
                return link
            if link is not None:
                link.leave(seconds, REPLACE)
                link.close()
        return _start(make_order() | {"server": server, "socket": str(folder / f"{name}.sock")}, progressed)


@contextlib.contextmanager
def _turn(folder: Path, progressed: Callable[[], None]) -> Iterator[int]:
    """One worker at a time looks for a guard and starts it. The kernel ends the turn of a process that ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progressed()
                time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _greeted(connection: socket.socket, progressed: Callable[[], None]) -> GuardLink | None:
    """The link, once the guard has said what it runs; None if it ends."""
    line, unread = _first_line(connection, progressed)
    said = json.loads(line or b"{}")
    if "pid" in said:
        with contextlib.suppress(ProcessLookupError):
            return GuardLink(connection, unread, said)
    connection.close()
    if "error" in said:
        raise ModelError("server", f"server.command cannot be run: {said['error']}")
    return None


def _first_line(connection: socket.socket, progressed: Callable[[], None]) -> tuple[bytes, bytes]:
    received = b""
    connection.settimeout(_POLL_SECONDS)
    while b"\n" not in received and len(received) < _MOST_LINE_BYTES:
        try:
            part = connection.recv(4096)
        except TimeoutError:
            progressed()
            continue
        except OSError:
            part = b""
        if not part:
            return b"", b""
        received += part
    connection.settimeout(None)
    line, _, unread = received.partition(b"\n")
    return line, unread


def clear(folder: Path, name: str) -> None:
    """Remove the socket of a guard that was killed."""
    with _turn(folder, lambda: None) as descriptor:
        connection = _connect(f"/proc/self/fd/{descriptor}/{name}.sock")
        if connection is None:
            (folder / f"{name}.sock").unlink(missing_ok=True)
        else:
            connection.close()


def _start(order: Mapping[str, Any], progressed: Callable[[], None]) -> GuardLink:
    own, others = socket.socketpair()
    with others:
        guard = subprocess.Popen(
            [sys.executable, "-m", "workers.models.served.guard", order["log"]],
            stdin=others.fileno(),
            start_new_session=True,
        )
    threading.Thread(target=guard.wait, name="guard", daemon=True).start()  # it may outlive this worker's model
    own.sendall(json.dumps(order).encode() + b"\n")
    link = _greeted(own, progressed)
    if link is None:
        raise ModelError("server", "server.command cannot be run: its guard has ended")
    return link
