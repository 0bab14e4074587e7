"""Keys that were made a moment ago: whoever makes one uses it at once, and nobody is locked out for being too early."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.gate import Gate
from protocol.keys import ClientKeys, PoolKeys, new_pair, read_client_keys
from protocol.plan import PoolPlan
from protocol.sockets import Listener
from scheduler.pool.worker_client import WorkerClient
from tests.protocol.curve import connect
from tests.waiting import wait_until
from tests.workers.attacked_pool import SPEC
from workers.door import RemoteDoor
from workers.ties import RemoteTie

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def context() -> Iterator[Context]:
    with zmq.Context() as made:
        yield made


def test_a_key_is_admitted_before_the_launcher_looks_for_new_ones(context: Context, tmp_path: Path) -> None:
    door = RemoteDoor(PoolPlan(name="pool", workers=[], keep=True, transport="tcp"), tmp_path, context)
    keys = PoolKeys(tmp_path)
    keys.hand_out(tmp_path / "friend.key", "run", "friend")
    friend = read_client_keys(tmp_path / "friend.key")
    with connect(context, door.listener.endpoint, friend) as link:
        link.send(m.Heartbeat(run="friend", incarnation="any"))
        assert door.listener.socket.poll(10_000), "the key was refused"
        assert door.listener.receive() is not None
        assert door.listener.sender_key == friend.public
    assert door.refresh()
    assert door.use_of(friend.public) == "run"
    keys.take_back("friend")
    assert door.refresh()
    with connect(context, door.listener.endpoint, friend) as link:
        link.send(m.Heartbeat(run="friend", incarnation="any"))
        assert not door.listener.socket.poll(100)
    door.close()


def test_a_worker_whose_key_was_refused_joins_once_the_launcher_knows_it(context: Context) -> None:
    server, pair = new_pair(), new_pair()
    gate = Gate(context)
    with Listener(context, "tcp://127.0.0.1:*", server) as listener:
        keys = ClientKeys(public=pair.public, secret=pair.secret, server=server.public, use="join")
        tie = RemoteTie(context, listener.endpoint, keys, lambda: join(pair.public), again_seconds=0.2)
        tie.update({})
        assert not listener.socket.poll(200)
        gate.allowed = frozenset({pair.public})

        def heard() -> bool:
            tie.update({})
            return bool(listener.socket.poll(10))

        wait_until(heard)
        received = listener.receive()
        assert received is not None
        assert isinstance(received[1], m.Join)
        tie.close()
    gate.close()


def test_a_run_whose_key_a_worker_refused_connects_to_it_again(context: Context) -> None:
    server, pair = new_pair(), new_pair()
    gate = Gate(context)
    with Listener(context, "tcp://127.0.0.1:*", server) as listener:
        keys = ClientKeys(public=pair.public, secret=pair.secret, server=server.public)
        link = connect(context, listener.endpoint, keys)
        status = m.WorkerStatus(
            worker_id="editor-0",
            role="editor",
            device="cpu",
            pid=1,
            alive=True,
            spec=SPEC,
            command=[],
            incarnation="life",
            log="",
            started=0.0,
            server_key=server.public,
        )
        client = WorkerClient(link, status, run="run", heartbeat_seconds=0.1, dead_after_seconds=0.2, again_seconds=0.1)
        assert not listener.socket.poll(200)
        gate.allowed = frozenset({pair.public})
        wait_until(lambda: client.unanswered)
        client.hello_again()
        assert listener.socket.poll(10_000), "the run never gets in"
        client.link.close()
    gate.close()


def join(public: str) -> m.Join:
    return m.Join(
        run="worker-1",
        incarnation="1",
        role="editor",
        protocol_version=PROTOCOL_VERSION,
        version=VERSION,
        host="node",
        pid=1,
        device="cpu",
        endpoint="tcp://127.0.0.1:1",
        server_key=public,
        state=m.WorkerState(phase="starting"),
    )
