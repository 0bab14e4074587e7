"""A worker's tie to its launcher: what it notices when either of them ends.

On one machine it is a Unix socket, which shows the launcher's end at once. Over TCP it is a heartbeat: a worker that
does not hear its launcher starts no new job, keeps its model, and waits for the launcher or a new one, for a while.
"""

from __future__ import annotations

import abc
import logging
import socket
import time
from collections.abc import Callable, Mapping

import zmq

from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.keys import ClientKeys, KeyPair
from protocol.sockets import Link
from workers.life_socket import send_last_words

log = logging.getLogger("warmbench.worker")

_FIRST_INTERVAL = 1.0
_AGAIN_SECONDS = 5.0
"""After a silence of this length, a new connection is made, again and again: the last one may have been refused."""
_REFUSED_FOR_GOOD = ("protocol_version", "incarnation", "invalid")


class Tie(abc.ABC):
    """``lost``: the launcher is not heard, so no new job may start. ``dismissed``: it has told the worker to end."""

    lost = False
    dismissed = False

    @abc.abstractmethod
    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop when there is news."""

    @abc.abstractmethod
    def update(self, ready: Mapping[object, int]) -> str | None:
        """Look at what has come. Return why the worker has to end, or None."""

    @abc.abstractmethod
    def say_goodbye(self, reason: str | None) -> None:
        """The worker ends, for this reason if it is a failure."""

    def close(self) -> None:  # noqa: B027 - the kernel closes a Unix socket
        """Close it."""


class LocalTie(Tie):
    """The Unix socket to a launcher on this machine."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def register(self, poller: zmq.Poller) -> None:
        poller.register(self._connection.fileno(), zmq.POLLIN)

    def update(self, ready: Mapping[object, int]) -> str | None:
        if self._connection.fileno() in ready and not self._connection.recv(64):
            return "the launcher is gone"
        return None

    def say_goodbye(self, reason: str | None) -> None:
        if reason is not None:
            send_last_words(self._connection, reason)


class RemoteTie(Tie):
    """Heartbeats over TCP: the worker repeats ``Join``, the launcher answers ``Assigned``."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        keys: ClientKeys,
        join: Callable[[], m.Join],
        again_seconds: float = _AGAIN_SECONDS,
    ) -> None:
        """``join`` makes the introduction, with the worker's present state."""
        self.assigned: m.Assigned | None = None
        pair = KeyPair(public=keys.public, secret=keys.secret)
        self._link = Link(context, endpoint, pair, keys.server)
        self._endpoint = endpoint
        self._join = join
        self._sent_at = 0.0
        self._heard_at = self._connected_at = time.monotonic()
        self._again_seconds = again_seconds

    def register(self, poller: zmq.Poller) -> None:
        poller.register(self._link.socket, zmq.POLLIN)

    def update(self, ready: Mapping[object, int]) -> str | None:  # noqa: ARG002 - time matters, whatever is ready
        refusal = self._read()
        if refusal is not None:
            return refusal
        now = time.monotonic()
        if now - max(self._heard_at, self._connected_at) > self._again_seconds:
            self._connected_at, self._sent_at = now, 0.0
            self._link = self._link.again()
        interval = self.assigned.heartbeat_seconds if self.assigned else _FIRST_INTERVAL
        if now - self._sent_at >= interval:
            self._sent_at = now
            self._link.send(self._join())
        if self.assigned is None:
            return None
        silent = now - self._heard_at
        lost = silent > self.assigned.dead_after_seconds
        if lost != self.lost:
            self.lost = lost
            text = "is not heard: no new job starts" if lost else "is heard again"
            log.warning("the launcher at %s %s", self._endpoint, text)
        if silent > self.assigned.dead_after_seconds + self.assigned.orphan_seconds:
            return f"the launcher was not heard for {silent:.0f} s"
        return None

    def _read(self) -> str | None:
        while True:
            try:
                received = self._link.receive()
            except ProtocolError as error:
                log.warning("the launcher sent an invalid message: %s", error)
                continue
            if received is None:
                return None
            match received[0]:
                case m.Assigned() as assigned:
                    self.assigned, self._heard_at = assigned, time.monotonic()
                case m.Refused(kind=kind, message=text) if kind in _REFUSED_FOR_GOOD:
                    return f"the launcher refused this worker: {text}"
                case m.Goodbye():
                    self.dismissed = True
                case _:
                    self._heard_at = time.monotonic()

    def say_goodbye(self, reason: str | None) -> None:
        join = self._join()
        self._link.send(m.Goodbye(run=join.run, incarnation=join.incarnation, reason=(reason or "")[:4000]))

    def close(self) -> None:
        self._link.close()
