"""The Unix socket that joins each worker process to its launcher for as long as both live.

Each side notices at once when the other ends, however it ends. The first line on a connection is the worker's
introduction: its id, its incarnation, and the endpoint that it bound. A worker that has to end may leave its last
words: why.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zmq

_MAX_LAST_WORDS = 4096
"""In bytes."""

_MAX_UNNAMED = 64
"""The most connections that have not sent their introduction yet. Above that, the oldest is closed."""


@dataclass(frozen=True)
class Introduction:
    """What a worker says of itself. ``pid`` comes from the kernel: a stranger must not choose what is killed."""

    worker_id: str
    incarnation: str
    endpoint: str
    pid: int


class LifeSocket:
    """The launcher's end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(64)
        self._unnamed: dict[int, socket.socket] = {}

    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop for new connections and for introductions."""
        for descriptor in (self._socket.fileno(), *self._unnamed):
            poller.register(descriptor, select.POLLIN)

    def readable(self, ready: Mapping[object, int]) -> list[socket.socket]:
        """Accept a new connection, if there is one; return the connections that have sent something or ended.

        The caller owns the returned connections.
        """
        if self._socket.fileno() in ready:
            connection, _ = self._socket.accept()
            self._unnamed[connection.fileno()] = connection
            if len(self._unnamed) > _MAX_UNNAMED:
                self._unnamed.pop(next(iter(self._unnamed))).close()
        return [self._unnamed.pop(descriptor) for descriptor in tuple(self._unnamed) if descriptor in ready]

    def close(self) -> None:
        """Close the socket and all connections without an introduction, and remove the file."""
        for connection in (self._socket, *self._unnamed.values()):
            connection.close()
        self.path.unlink(missing_ok=True)


def read_introduction(connection: socket.socket) -> Introduction:
    """Read the first line of a readable connection.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: it is no introduction.
        OSError: the connection is broken.
    """
    line = json.loads(connection.recv(4096))
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    if pid < 1:
        raise ValueError("its process is in a namespace that is not visible from here")
    return Introduction(line["worker_id"], line["incarnation"], str(line["endpoint"]), pid)


def send_last_words(connection: socket.socket, text: str) -> None:
    """Leave this for the launcher, which reads it when the worker has ended."""
    with contextlib.suppress(OSError):
        connection.send(text.encode(errors="replace")[:_MAX_LAST_WORDS], socket.MSG_DONTWAIT)


def read_last_words(connection: socket.socket) -> str | None:
    """What a worker that has ended left; None if nothing."""
    try:
        return connection.recv(_MAX_LAST_WORDS, socket.MSG_DONTWAIT).decode(errors="replace") or None
    except OSError:
        return None
