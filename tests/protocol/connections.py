"""Messages and helpers for the tests of sockets."""

from __future__ import annotations

from protocol import messages as m
from protocol.sockets import Link, Listener


def ack(job: str) -> m.Ack:
    """A message without an image."""
    return m.Ack(run="r", incarnation="i", job=job)


def edited(job: str) -> m.Edited:
    """A message with one image."""
    return m.Edited(run="r", incarnation="i", job=job, started=1, finished=2, width=3, height=4, sha256="0" * 64)


def wait_for_message(end: Listener | Link) -> None:
    """Wait until there is something to receive."""
    assert end.socket.poll(10_000), "nothing arrived"


def say_and_hear(listener: Listener, link: Link, job: str) -> bytes:
    """Send a message over the link; return the identity that the listener gives it."""
    assert link.send(ack(job))
    wait_for_message(listener)
    received = listener.receive()
    assert received is not None
    assert received[1] == ack(job)
    return received[0]
