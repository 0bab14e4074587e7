"""Real sockets: complete messages in order, no blocking whatever the other side does, no hanging on close."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
import zmq

from protocol import messages as m
from protocol.codec import encode
from protocol.sockets import MAX_SOCKET_PATH, Link, Listener, ipc_endpoint
from tests.protocol.connections import ack, edited, say_and_hear, wait_for_message
from tests.protocol.curve import link_to, listener_on
from tests.waiting import wait_until

Context = zmq.Context[zmq.Socket[bytes]]


def test_messages_with_images_arrive_whole_and_in_order_both_ways(pair: tuple[Listener, Link]) -> None:
    listener, link = pair
    # 64 KiB is where pyzmq begins to send without a copy.
    sizes = [0, 1, 100, 65_535, 65_536, 300_000] * 4
    images = [hashlib.shake_128(bytes([number])).digest(size) for number, size in enumerate(sizes)]
    for number, image in enumerate(images):
        assert link.send(edited(str(number)), [image])
    for number, image in enumerate(images):
        wait_for_message(listener)
        received = listener.receive()
        assert received is not None
        peer, message, (frame,) = received
        assert message == edited(str(number))
        assert bytes(frame) == image
        assert listener.send(peer, message, [frame])
    for number, image in enumerate(images):
        wait_for_message(link)
        answer = link.receive()
        assert answer is not None
        assert answer[0] == edited(str(number))
        assert bytes(answer[1][0]) == image
    assert listener.receive() is None
    assert link.receive() is None


def test_the_largest_batch_arrives_whole(pair: tuple[Listener, Link]) -> None:
    listener, link = pair
    item = m.ScoreItem(item="i", key="k", prompts=[m.Prompt(system="", user="u")], with_source=True)
    score = m.Score(run="r", incarnation="i", epoch=1, job="j", items=[item] * m.MAX_BATCH, parameters={})
    images = [str(number).encode() for number in range(512)]
    assert link.send(score, images)
    wait_for_message(listener)
    received = listener.receive()
    assert received is not None
    assert received[1] == score
    assert [bytes(image) for image in received[2]] == images


def test_peers_have_different_identities(context: Context, pair: tuple[Listener, Link]) -> None:
    listener, first = pair
    with link_to(context, listener.endpoint) as second:
        names = say_and_hear(listener, first, "1"), say_and_hear(listener, second, "2")
        assert names[0] != names[1]
        assert listener.send(names[1], ack("for the second"))
        wait_for_message(second)
        assert second.receive() == (ack("for the second"), [])
        assert first.receive() is None


def test_sending_to_an_unknown_peer_returns_false(pair: tuple[Listener, Link]) -> None:
    listener, _ = pair
    assert listener.send(b"nobody", ack("1")) is False
    assert listener.send(b"", edited("1"), [b"image"]) is False


def test_sending_to_a_peer_that_is_gone_returns_false(context: Context, pair: tuple[Listener, Link]) -> None:
    listener, link = pair
    with link_to(context, listener.endpoint) as leaver:
        peer = say_and_hear(listener, leaver, "1")
    # ZeroMQ notices it after a while; until then messages are lost without an error.
    wait_until(lambda: listener.send(peer, edited("1"), [b"image"]) is False, seconds=10)
    say_and_hear(listener, link, "the others are still heard")


def test_a_listeners_send_returns_false_when_the_peer_does_not_read(pair: tuple[Listener, Link]) -> None:
    listener, link = pair
    peer = say_and_hear(listener, link, "1")
    frames = [peer, *encode(ack("x" * 1000))]
    sent = 0
    while sent < 200_000 and listener._send_frames(frames):
        sent += 1
    # ZeroMQ's own thread may still be moving messages to the kernel, which makes room for some more.
    while sent < 200_000 and listener.send(peer, ack("1")):
        sent += 1
    assert 1_000 <= sent < 200_000


def test_a_links_send_returns_false_once_its_queue_is_full(context: Context, short_folder: Path) -> None:
    with Link(context, ipc_endpoint(short_folder / "nobody.sock")) as link:
        frames = encode(ack("1"))
        sent = 0
        while sent < 50_000 and link._send_frames(frames):
            sent += 1
        assert 10_000 <= sent < 50_000
        assert link.send(edited("1"), [b"image"]) is False
        link.socket.setsockopt(zmq.LINGER, 0)  # that closing waits for is tested below


def test_closing_with_unsent_messages_does_not_hang(short_folder: Path) -> None:
    context: Context = zmq.Context()
    link = Link(context, ipc_endpoint(short_folder / "nobody.sock"))
    assert link.send(edited("1"), [b"image" * 100_000])
    began = time.monotonic()
    link.close()
    context.term()
    assert time.monotonic() - began < 5


def test_a_message_sent_just_before_closing_arrives(context: Context, pair: tuple[Listener, Link]) -> None:
    listener, _ = pair
    with link_to(context, listener.endpoint) as leaver:
        leaver.send(m.Goodbye(run="r", incarnation="i", reason="done"))
    wait_for_message(listener)
    received = listener.receive()
    assert received is not None
    assert isinstance(received[1], m.Goodbye)


def test_closing_twice_is_allowed(pair: tuple[Listener, Link]) -> None:
    for end in pair:
        end.close()
        end.close()


@pytest.mark.parametrize("wrong", ["nonsense", "ipc://", "tcp://127.0.0.1:no-port", "udp://x", ""])
def test_a_wrong_endpoint_leaves_no_open_socket(context: Context, wrong: str) -> None:
    with pytest.raises(zmq.ZMQError):
        listener_on(context, wrong)
    if wrong != "ipc://":  # ZeroMQ connects there, to nobody
        with pytest.raises(zmq.ZMQError):
            link_to(context, wrong)


def test_a_taken_tcp_port_is_an_error(context: Context) -> None:
    with listener_on(context, "tcp://127.0.0.1:*") as listener:
        assert listener.endpoint.startswith("tcp://127.0.0.1:")
        with pytest.raises(zmq.ZMQError):
            listener_on(context, listener.endpoint)


def _path_of_size(folder: Path, size: int) -> Path:
    return folder / ("s" * (size - len(str(folder)) - 1))


def test_the_longest_path_that_the_kernel_allows_can_be_bound(context: Context, short_folder: Path) -> None:
    endpoint = ipc_endpoint(_path_of_size(short_folder, MAX_SOCKET_PATH))
    with listener_on(context, endpoint) as listener, link_to(context, listener.endpoint) as link:
        say_and_hear(listener, link, "1")


def test_the_error_for_a_long_socket_path_says_what_to_do(short_folder: Path) -> None:
    with pytest.raises(ValueError, match="has 108 bytes, and the system allows 107: set WARMBENCH_HOME to a shorter"):
        ipc_endpoint(_path_of_size(short_folder, MAX_SOCKET_PATH + 1))
    with pytest.raises(ValueError, match="has 120 bytes"):
        ipc_endpoint(Path("/" + "\u7801" * 39 + "ab"))


def test_two_links_from_two_contexts_do_not_disturb_each_other(pair: tuple[Listener, Link]) -> None:
    listener, _ = pair
    other: Context = zmq.Context()
    with link_to(other, listener.endpoint) as link:
        peer = say_and_hear(listener, link, "1")
        assert listener.send(peer, ack("back"))
        wait_for_message(link)
        assert link.receive() == (ack("back"), [])
    other.term()
