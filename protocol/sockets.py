"""The sockets of ZeroMQ.

A worker or launcher binds a ROUTER (``Listener``). A client connects a DEALER (``Link``), one for each incarnation of
the other side and never reused: a DEALER would send what it had queued for a dead process to the next one that binds
the same path. Sends never block, and queues are bounded: a message to a peer that does not read is dropped, and the
send returns ``False``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import zmq

from protocol.codec import MAX_IMAGE_BYTES, Buffer, ProtocolError, decode, encode
from protocol.messages import AnyMessage, Message

MAX_SOCKET_PATH = 107
"""The kernel's limit of a Unix socket's path, in bytes (sockaddr_un)."""

_LINK_QUEUE = 10_000
_LISTENER_QUEUE = 1000
_RECEIVE_QUEUE = 100
"""Messages per connection. More stay in the sender's memory. The bound end queues less for each connection, since any
number of peers may connect and never read."""

_MAX_FRAMES = 1 + 2 * 256
_LINGER_MS = 500
_COPIED_BYTES = 1 << 20
"""Smaller frames are copied when sent. When a frame that was not copied has left, a thread of pyzmq takes the GIL from
the working threads, which costs more than a copy (0.1 ms at most).
"""


def ipc_endpoint(path: Path) -> str:
    """Return the endpoint of a socket file; raises ``ValueError`` if its path is too long for the kernel."""
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH:
        raise ValueError(
            f"the socket path {path} has {size} bytes, and the system allows {MAX_SOCKET_PATH}: "
            "set WARMBENCH_HOME to a shorter folder, or choose a shorter pool name"
        )
    return f"ipc://{path}"


class _Socket:
    """What both ends share: limits, sends that never block, closing that never hangs."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], kind: int, send_queue: int) -> None:
        self.socket = context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, _LINGER_MS)
        self.socket.copy_threshold = _COPIED_BYTES
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_IMAGE_BYTES)
        self.socket.setsockopt(zmq.SNDHWM, send_queue)
        self.socket.setsockopt(zmq.RCVHWM, _RECEIVE_QUEUE)

    def _receive_frames(self) -> list[Buffer] | None:
        """All frames of one message, or None if there is none. Frames above the limit are dropped."""
        frames: list[Buffer] = []
        try:
            frame = self.socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        while True:
            if len(frames) <= _MAX_FRAMES:
                frames.append(frame.buffer)
            if not frame.more:
                return frames
            frame = self.socket.recv(copy=False)

    def _send_frames(self, frames: Sequence[Buffer]) -> bool:
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def close(self) -> None:
        """Close; messages that were just sent have half a second to leave."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Listener(_Socket):
    """The bound end. ZeroMQ gives each peer an identity."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        """Bind. ``tcp://127.0.0.1:*`` takes a free port; ``self.endpoint`` has the actual one. Raises ``ZMQError``."""
        super().__init__(context, zmq.ROUTER, _LISTENER_QUEUE)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError:
            self.socket.close(0)
            raise
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def receive(self) -> tuple[bytes, AnyMessage, list[Buffer]] | None:
        """Return the next message with its sender, or None. An invalid one is dropped: raises ``ProtocolError``."""
        frames = self._receive_frames()
        if frames is None:
            return None
        if len(frames) < 2:
            raise ProtocolError("no frame behind the peer's identity")
        message, images = decode(frames[1:])
        return bytes(frames[0]), message, images

    def send(self, peer: bytes, message: Message, images: Sequence[Buffer] = ()) -> bool:
        """Send to a peer; False if it is gone or does not read."""
        return self._send_frames([peer, *encode(message, images)])


class Link(_Socket):
    """The connecting end."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        """Connect. The endpoint need not be bound yet. Raises ``ZMQError`` if it is not a valid endpoint."""
        super().__init__(context, zmq.DEALER, _LINK_QUEUE)
        self.endpoint = endpoint
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError:
            self.socket.close(0)
            raise

    def receive(self) -> tuple[AnyMessage, list[Buffer]] | None:
        """Return the next message, or None. An invalid one is dropped: raises ``ProtocolError``."""
        frames = self._receive_frames()
        return None if frames is None else decode(frames)

    def send(self, message: Message, images: Sequence[Buffer] = ()) -> bool:
        """Send; False if the queue is full because the other side has not read for long."""
        return self._send_frames(encode(message, images))
