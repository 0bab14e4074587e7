"""The sockets of ZeroMQ.

A worker or launcher binds a ROUTER (``Listener``). A client connects a DEALER (``Link``), one for each incarnation of
the other side and never reused: a DEALER would send what it had queued for a dead process to the next one that binds
the same path. Sends never block, and queues are bounded: a message to a peer that does not read is dropped, and the
send returns ``False``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import zmq

from protocol.codec import MAX_IMAGE_BYTES, Buffer, ProtocolError, decode, encode
from protocol.keys import DOMAIN, KeyPair
from protocol.messages import MAX_BATCH, AnyMessage, Message

MAX_SOCKET_PATH = 107
"""The kernel's limit of a Unix socket's path, in bytes (sockaddr_un)."""

_LINK_QUEUE = 10_000
_LISTENER_QUEUE = 1000
_RECEIVE_QUEUE = 100
"""Messages per connection. More stay in the sender's memory. The bound end queues less for each connection, since any
number of peers may connect and never read."""

_MAX_FRAMES = 1 + MAX_BATCH * 4
"""More than a full batch of edits with their sources has. A batch of questions shows fewer edits, with more images."""
_LINGER_MS = 500
_PING_MS = 2000
_PONG_MS = 10_000
"""Over TCP, a connection without an answer for so long is closed and made anew; so is one without a handshake."""
_RECONNECT_MS = 2000
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


def bracketed(address: str) -> str:
    """Return an address as it stands in an endpoint: one of IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


class _Socket:
    """What both ends share: limits, sends that never block, closing that never hangs."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], kind: int, send_queue: int) -> None:
        self.socket = context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, _LINGER_MS)
        self.socket.copy_threshold = _COPIED_BYTES
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_IMAGE_BYTES)
        self.socket.setsockopt(zmq.SNDHWM, send_queue)
        self.socket.setsockopt(zmq.RCVHWM, _RECEIVE_QUEUE)

    def _secure(self, endpoint: str, keys: KeyPair | None) -> None:
        """Set what a TCP socket needs: its secret key, and a quick notice of connections that are cut."""
        if not endpoint.startswith("tcp://"):
            return
        if keys is None:
            raise ValueError(f"{endpoint}: plain TCP is refused; sockets over TCP need keys")
        self.socket.curve_secretkey = keys.secret.encode()
        self.socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, _PING_MS)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _PONG_MS)
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, _PONG_MS)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MS)

    def _note_sender(self, frame: zmq.Frame) -> None:
        """Look at the first frame of a message."""

    def _receive_frames(self) -> list[Buffer] | None:
        """All frames of one message, or None if there is none. Frames above the limit are dropped."""
        frames: list[Buffer] = []
        try:
            frame = self.socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        self._note_sender(frame)
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
    """The bound end. ZeroMQ gives each peer an identity.

    ``sender_key`` is the public key of who sent the last message received, None without CURVE.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        keys: KeyPair | None = None,
        ports: tuple[int, int] | None = None,
    ) -> None:
        """Bind. Any TCP endpoint needs ``keys``, and a ``Gate`` in the context. A port ``*`` is a free one, of the
        range ``ports`` (both ends included) if there is one; ``self.endpoint`` has the actual one.

        Raises:
            ValueError: a TCP endpoint without keys.
            ZMQError: it cannot be bound.
        """
        super().__init__(context, zmq.ROUTER, _LISTENER_QUEUE)
        self.sender_key: str | None = None
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            self._secure(endpoint, keys)
            if keys is not None:
                self.socket.curve_server = True
                self.socket.zap_domain = DOMAIN.encode()
                self.socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
            if ports is None or not endpoint.endswith(":*"):
                self.socket.bind(endpoint)
            else:
                self._bind_in(endpoint.removesuffix(":*"), ports)
        except (zmq.ZMQError, ValueError):
            self.socket.close(0)
            raise
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _bind_in(self, address: str, ports: tuple[int, int]) -> None:
        for port in range(ports[0], ports[1] + 1):
            try:
                self.socket.bind(f"{address}:{port}")
            except zmq.ZMQError as error:
                if error.errno != errno.EADDRINUSE or port == ports[1]:
                    raise
            else:
                return

    def receive(self) -> tuple[bytes, AnyMessage, list[Buffer]] | None:
        """Return the next message with its sender, or None. An invalid one is dropped: raises ``ProtocolError``."""
        frames = self._receive_frames()
        if frames is None:
            return None
        if len(frames) < 2:
            raise ProtocolError("no frame behind the peer's identity")
        message, images = decode(frames[1:])
        return bytes(frames[0]), message, images

    def _note_sender(self, frame: zmq.Frame) -> None:
        try:
            self.sender_key = frame.get("User-Id") or None  # type: ignore[assignment]  # text, for this name
        except zmq.ZMQError:
            self.sender_key = None

    def send(self, peer: bytes, message: Message, images: Sequence[Buffer] = ()) -> bool:
        """Send to a peer; False if it is gone or does not read."""
        return self._send_frames([peer, *encode(message, images)])


class Link(_Socket):
    """The connecting end."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        keys: KeyPair | None = None,
        server: str | None = None,
    ) -> None:
        """Connect. The endpoint need not be bound yet. A TCP endpoint needs the client's ``keys`` and the ``server``'s
        public one.

        Raises:
            ValueError: a TCP endpoint without keys.
            ZMQError: it is not a valid endpoint.
        """
        super().__init__(context, zmq.DEALER, _LINK_QUEUE)
        self.endpoint = endpoint
        self._context, self._keys, self._server = context, keys, server
        try:
            self._secure(endpoint, keys if server is not None else None)
            if keys is not None and server is not None:
                self.socket.curve_publickey = keys.public.encode()
                self.socket.curve_serverkey = server.encode()
            self.socket.connect(endpoint)
        except (zmq.ZMQError, ValueError):
            self.socket.close(0)
            raise

    def again(self) -> Link:
        """Close, and return a new connection. ZeroMQ itself never tries again with a key that was refused once, also if
        it was made a moment ago and is known by now.
        """
        self.close()
        return Link(self._context, self.endpoint, self._keys, self._server)

    def disconnect(self) -> None:
        """Send nothing more, nor what still waits to be sent: whoever binds the endpoint next is not to get it."""
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.disconnect(self.endpoint)

    def receive(self) -> tuple[AnyMessage, list[Buffer]] | None:
        """Return the next message, or None. An invalid one is dropped: raises ``ProtocolError``."""
        frames = self._receive_frames()
        return None if frames is None else decode(frames)

    def send(self, message: Message, images: Sequence[Buffer] = ()) -> bool:
        """Send; False if the queue is full because the other side has not read for long."""
        return self._send_frames(encode(message, images))
