"""A pool's open TCP port: whoever has no key that it knows gets nothing, changes nothing, and costs next to nothing."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

import psutil
import pytest
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import encode
from protocol.gate import Gate
from protocol.keys import ClientKeys, PoolKeys, new_pair, read_client_keys
from protocol.plan import PoolPlan, WorkerPlan
from protocol.pool import read_pool_card
from protocol.sockets import Link, Listener
from scripts.place import Place
from tests.protocol.curve import connect
from tests.waiting import wait_until
from tests.workers.attacked_pool import SPEC

pytestmark = pytest.mark.slow

MEGABYTE = 2**20
MESSAGES = 100_000
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""Of ZMTP 3.0, by a peer without encryption."""


class OpenPool:
    """A launcher process with one simulated editor, both with a TCP port."""

    def __init__(self) -> None:
        worker = WorkerPlan(
            worker_id="editor-0", role="editor", device="cpu", spec=SPEC, residency="device", command=[sys.executable]
        )
        self.place = Place()
        plan = PoolPlan(name="pool", workers=[worker], keep=True, transport="tcp", heartbeat_seconds=0.2)
        self.process = self.place.launch(plan)
        self.folder = self.place.home / "pool"
        card = read_pool_card(self.folder)
        assert card is not None
        self.endpoint = card.endpoint
        self.keys = read_client_keys(PoolKeys(self.folder).run_key)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        wait_until(lambda: self.editor().state is not None)

    def status(self) -> m.PoolStatus:
        """What the launcher answers to an honest run, on a connection of its own."""
        with connect(self.context, self.endpoint, self.keys) as link:
            link.send(hello("honest"))
            assert link.socket.poll(20_000), "an honest run is not answered"
            received = link.receive()
        assert received is not None
        assert isinstance(received[0], m.PoolStatus)
        return received[0]

    def editor(self) -> m.WorkerStatus:
        return self.status().workers[0]

    def memory(self) -> int:
        return sum(psutil.Process(pid).memory_info().rss for pid in (self.process.pid, self.editor().pid))

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        self.context.destroy(0)
        self.place.end_everything()


@pytest.fixture(scope="module")
def pool() -> Iterator[OpenPool]:
    made = OpenPool()
    yield made
    made.close()


def hello(run: str) -> m.Hello:
    return m.Hello(run=run, incarnation="any", protocol_version=PROTOCOL_VERSION, version=VERSION)


def hostile() -> list[m.Message]:
    """What would take over a pool, if anybody heard it."""
    run, any_life = "stranger", "any"
    return [
        hello(run),
        m.Lease(run=run, incarnation=any_life, mode="exclusive", keep_warm=True),
        m.Reload(run=run, incarnation=any_life, epoch=1, worker_ids=["editor-0"], spec=SPEC, command=["/bin/false"]),
        m.Allow(run=run, incarnation=any_life, keys=[new_pair().public]),
        m.Stop(run=run, incarnation=any_life, now=True),
    ]


def flood_in_clear(endpoint: str) -> int:
    """Send messages without encryption, as a peer of ZeroMQ and as anything else; return how many."""
    host, _, port = endpoint.removeprefix("tcp://").partition(":")
    parts = [bytes(frame)[:255] for message in hostile() for frame in encode(message)]
    frames = b"".join(b"\x00" + bytes([len(part)]) + part for part in parts) * 20
    ready = b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    junk = (_GREETING + ready + frames, frames, bytes(900))
    sent = 0
    while sent < MESSAGES:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(junk[sent % len(junk)])
        sent += 100
    return sent


def flood_with_foreign_keys(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, server: str) -> int:
    """Send messages with keys that the pool does not know; return how many."""
    sent = 0
    while sent < MESSAGES:
        with Link(context, endpoint, new_pair(), server) as link:
            link.socket.setsockopt(zmq.LINGER, 0)
            for message in hostile() * 400:
                link.send(message)
                sent += 1
            assert not link.socket.poll(50), "a stranger is answered"
    return sent


@pytest.mark.parametrize("kind", ["in clear", "foreign keys"])
@pytest.mark.parametrize("target", ["launcher", "worker"])
def test_a_hundred_thousand_messages_of_strangers_change_nothing(pool: OpenPool, kind: str, target: str) -> None:
    before, memory, log = pool.editor(), pool.memory(), len(pool.logs())
    assert before.endpoint is not None
    assert before.server_key is not None
    endpoint = pool.endpoint if target == "launcher" else before.endpoint
    server = pool.keys.server if target == "launcher" else before.server_key
    sent = flood_in_clear(endpoint) if kind == "in clear" else flood_with_foreign_keys(pool.context, endpoint, server)
    assert sent >= MESSAGES
    status, after = pool.status(), pool.editor()
    assert (status.holders, status.waiting, status.stopping) == ([], [], False)
    assert (after.pid, after.incarnation, after.alive) == (before.pid, before.incarnation, True)
    assert after.state is not None
    assert (after.state.runs, after.state.done, after.state.epoch) == (0, 0, 0)
    assert pool.memory() - memory < 64 * MEGABYTE
    assert len(pool.logs()) - log < 20_000


@pytest.mark.parametrize("known", [True, False])
def test_nobody_gets_in_once_the_authenticator_has_ended(known: bool) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server, client = new_pair(), new_pair()
    gate = Gate(context, {client.public})
    listener = Listener(context, "tcp://127.0.0.1:*", server)
    with Link(context, listener.endpoint, client, server.public) as link:
        link.send(hello("known"))
        assert listener.socket.poll(10_000)
        assert listener.receive() is not None
    gate.close()
    memory = psutil.Process().memory_info().rss
    try:
        sent = 0
        while sent < MESSAGES:
            with Link(context, listener.endpoint, client if known else new_pair(), server.public) as link:
                link.socket.setsockopt(zmq.LINGER, 0)
                for message in hostile() * 400:
                    link.send(message)
                    sent += 1
                assert not listener.socket.poll(20)
        assert psutil.Process().memory_info().rss - memory < 64 * MEGABYTE
    finally:
        listener.close()
        context.destroy(0)


def test_a_key_for_joining_is_for_joining_only_and_one_that_is_taken_back_is_for_nothing(pool: OpenPool) -> None:
    keys = PoolKeys(pool.folder)
    path = pool.folder / "keys" / "friend.key"
    keys.hand_out(path, "run", "friend")
    friend = read_client_keys(path)
    wait_until(lambda: _answer(pool, friend, [hello("friend")]) is not None)
    with connect(pool.context, pool.endpoint, friend) as link:
        link.send(hello("friend"))
        assert link.socket.poll(10_000)
        keys.take_back("friend")
        wait_until(lambda: _refused(link))
    joining = read_client_keys(keys.join_key)
    answer = _answer(pool, joining, hostile())
    assert isinstance(answer, m.Refused)
    assert "for joining only" in answer.message
    assert not pool.status().stopping


def _refused(link: Link) -> bool:
    link.send(m.Lease(run="friend", incarnation="any", mode="exclusive"))
    while link.socket.poll(100):
        received = link.receive()
        if received is not None and isinstance(received[0], m.Refused):
            return "taken back" in received[0].message
    return False


def _answer(pool: OpenPool, keys: ClientKeys, messages: list[m.Message]) -> m.Message | None:
    with connect(pool.context, pool.endpoint, keys) as link:
        for message in messages:
            link.send(message)
        if not link.socket.poll(2000):
            return None
        received = link.receive()
    return received[0] if received is not None else None
