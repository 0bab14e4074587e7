"""Strangers on real sockets: garbage, surplus and oversized frames are dropped, and later messages still arrive."""

from __future__ import annotations

import pytest
import zmq

from protocol import sockets
from protocol.codec import ProtocolError, encode
from protocol.sockets import Link, Listener
from tests.protocol.connections import ack, edited, say_and_hear, wait_for_message
from tests.protocol.curve import link_to, listener_on, secure

Context = zmq.Context[zmq.Socket[bytes]]

GARBAGE = [
    [b""],
    [b"garbage"],
    [b"", b""],
    [b"\xff" * 1000, b"image"],
    [*encode(ack("1")), b"an image too many"],
    [*encode(edited("1"), [b"image"])[:1]],
]


@pytest.mark.parametrize("frames", GARBAGE, ids=lambda frames: repr(frames)[:30])
def test_a_listener_reads_the_next_message_after_garbage(
    context: Context, pair: tuple[Listener, Link], frames: list[bytes]
) -> None:
    listener, link = pair
    with context.socket(zmq.DEALER) as stranger:
        secure(stranger, listener.endpoint)
        stranger.connect(listener.endpoint)
        stranger.send_multipart(frames)
        stranger.send_multipart(encode(ack("behind")))
        wait_for_message(listener)
        with pytest.raises(ProtocolError):
            listener.receive()
        wait_for_message(listener)
        received = listener.receive()
        assert received is not None
        assert received[1] == ack("behind")
        say_and_hear(listener, link, "the others are still heard")


@pytest.mark.parametrize("frames", GARBAGE, ids=lambda frames: repr(frames)[:30])
def test_a_link_reads_the_next_message_after_garbage(context: Context, endpoint: str, frames: list[bytes]) -> None:
    with context.socket(zmq.ROUTER) as stranger:
        secure(stranger, endpoint, server=True)
        stranger.bind(endpoint)
        with link_to(context, stranger.getsockopt_string(zmq.LAST_ENDPOINT)) as link:
            assert link.send(ack("1"))
            assert stranger.poll(10_000)
            peer = stranger.recv_multipart()[0]
            stranger.send_multipart([peer, *frames])
            stranger.send_multipart([peer, *encode(ack("behind"))])
            wait_for_message(link)
            with pytest.raises(ProtocolError):
                link.receive()
            wait_for_message(link)
            assert link.receive() == (ack("behind"), [])


def test_surplus_frames_are_dropped_while_reading(context: Context, pair: tuple[Listener, Link]) -> None:
    listener, _ = pair
    with context.socket(zmq.DEALER) as stranger:
        secure(stranger, listener.endpoint)
        stranger.connect(listener.endpoint)
        stranger.send_multipart([*encode(ack("1")), *[b"surplus"] * 5000])
        stranger.send_multipart(encode(ack("behind")))
        wait_for_message(listener)
        with pytest.raises(ProtocolError, match=r"Ack with 102\d image frames, not 0"):
            listener.receive()
        wait_for_message(listener)
        received = listener.receive()
        assert received is not None
        assert received[1] == ack("behind")


def test_an_oversized_frame_never_arrives_and_other_messages_still_do(
    context: Context, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_IMAGE_BYTES", 1000)
    with listener_on(context, endpoint) as listener, link_to(context, listener.endpoint) as link:
        with context.socket(zmq.DEALER) as stranger:
            stranger.setsockopt(zmq.LINGER, 0)
            gone = stranger.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            secure(stranger, listener.endpoint)
            stranger.connect(listener.endpoint)
            stranger.send_multipart([encode(edited("1"), [b""])[0], b"x" * 1001])
            assert gone.poll(10_000), "the sender is not cut off"
            stranger.disable_monitor()
            gone.close()
        say_and_hear(listener, link, "the others are still heard")
        assert listener.receive() is None
