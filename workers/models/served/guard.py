"""``python -m workers.models.served.guard``: runs a server, and ends with it all that it has started.

A process between workers and the server of the user's, since a worker may be killed at any moment and the server may
start processes of its own. It is the parent of all that it starts, also of what loses its own parent (a subreaper).

The worker that starts it is connected to its standard input, a socket, and writes an order: one JSON line. Other
workers, which share the server, connect to the socket that the order names. Each worker gets one JSON line when the
server has started, and may write a line:

    leave      it needs the server no more
    end        the server is to end for all
    replace    likewise, and the others are told: `{"replaced": true}`

The end of a connection is the worker's death. Without workers, the server ends: gently (SIGTERM, then SIGKILL), or at
once if the last one died. The guard ends when the server and all its processes have ended; the workers that are still
connected get its exit code, `{"code": 0}`. The server's log begins anew when it is too long.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import psutil

LEAVE, END, REPLACE = b"leave\n", b"end\n", b"replace\n"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_MOST_WORD_BYTES = 64


def main() -> int:
    """Run the server to its end."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopped, wake = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(wake, b"."))
    with open(0, "rb", buffering=0, closefd=False) as orders:
        order = json.loads(orders.readline())
    starter = socket.socket(fileno=0)
    try:
        listener = _listen(order["socket"])
        with Path(order["log"]).open("ab") as log:
            begins = log.tell()
            server = _start(order, log, lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
    except (OSError, ValueError) as error:  # ValueError: a word with a NUL
        Path(order["socket"]).unlink(missing_ok=True)
        _send(starter, error=f"{order['command'][0]}: {getattr(error, 'strerror', None) or error}")
        return 127
    greeting = {name: order[name] for name in ("server", "port", "log")}
    greeting |= {"guard": os.getpid(), "pid": server.pid, "log_begins": begins}
    workers = Workers(starter, listener, greeting)
    gently = workers.serve(order, server, stopped)
    if gently:
        _signal_group(server.pid, signal.SIGTERM)
        _wait_for_all(server, order["term_seconds"])
    _kill_all(server)
    workers.dismiss(server.wait())
    Path(order["socket"]).unlink(missing_ok=True)
    return 0


class Workers:
    """The workers that need the server."""

    def __init__(self, starter: socket.socket, listener: socket.socket, greeting: dict[str, Any]) -> None:
        self._listener = listener
        self._greeting = greeting
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._connected: list[socket.socket] = []
        self._add(starter)

    def serve(self, order: dict[str, Any], server: subprocess.Popen[bytes], stopped: int) -> bool:
        """Wait until the server has ended or is to end. Return whether it is to end gently."""
        ended = os.pidfd_open(server.pid)
        for descriptor in (ended, stopped):
            self._selector.register(descriptor, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.fileobj in (ended, stopped):
                    return key.fileobj == stopped
                if key.fileobj is self._listener:
                    self._add(self._listener.accept()[0])
                elif isinstance(key.fileobj, socket.socket):
                    word = _word(key.fileobj)
                    if word == REPLACE:
                        self._tell(key.fileobj, replaced=True)
                    if word in (END, REPLACE) or not self._remove(key.fileobj):
                        return bool(word)
            with contextlib.suppress(OSError):
                if os.path.getsize(order["log"]) > order["most_log_bytes"]:  # noqa: PTH202 - no object for each look
                    os.truncate(order["log"], 0)

    def dismiss(self, code: int) -> None:
        """The server has ended: tell all that are left."""
        self._tell(code=code)

    def _add(self, worker: socket.socket) -> None:
        worker.setblocking(False)
        self._connected.append(worker)
        self._selector.register(worker, selectors.EVENT_READ)
        _send(worker, **self._greeting)

    def _remove(self, worker: socket.socket) -> bool:
        """Whether others are left. The last one's connection ends with this process."""
        self._selector.unregister(worker)
        if self._connected == [worker]:
            return False
        self._connected.remove(worker)
        worker.close()
        return True

    def _tell(self, sender: socket.socket | None = None, **fields: object) -> None:
        for worker in self._connected:
            if worker is not sender:
                _send(worker, **fields)


def _listen(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{folder}/{Path(path).name}")  # the path of a socket may have 107 bytes
    listener.listen()
    os.close(folder)
    return listener


def _start(order: dict[str, Any], log: BinaryIO, die_with_parent: Callable[[], object]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        order["command"],
        env=order["environment"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        # Safe: this process has one thread. The signal follows the end of that thread.
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )


def _send(worker: socket.socket, **fields: object) -> None:
    with contextlib.suppress(OSError):  # its end is read
        worker.sendall(json.dumps(fields).encode() + b"\n")


def _word(worker: socket.socket) -> bytes:
    try:
        return worker.recv(_MOST_WORD_BYTES)
    except OSError:
        return b""


def _descendants() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False  # it has ended just now, which says nothing of the others


def _wait_for_all(server: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        server.poll()
        with contextlib.suppress(psutil.Error):
            if not _descendants():
                return
        time.sleep(_POLL_SECONDS)


def _kill_all(server: subprocess.Popen[bytes]) -> None:
    """Kill what is left, also what it starts meanwhile."""
    while True:
        _signal_group(server.pid, signal.SIGKILL)
        left: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            left = _descendants()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not left:
            return
        _wait_for_all(server, _POLL_SECONDS)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main())
