"""Fixtures of the protocol's tests."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from protocol.gate import Gate
from protocol.sockets import Link, Listener, ipc_endpoint
from tests.protocol.curve import CLIENT, link_to, listener_on

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="wb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def context() -> Iterator[Context]:
    """A ZeroMQ context that must end when the test has closed its sockets: the test fails if it hangs."""
    made: Context = zmq.Context()
    gate = Gate(made, {CLIENT.public})
    yield made
    gate.close()
    ended = threading.Thread(target=made.term, daemon=True)
    ended.start()
    ended.join(10)
    assert not ended.is_alive(), "the context does not end: a socket was left open"


@pytest.fixture(params=["ipc", "tcp"])
def endpoint(request: pytest.FixtureRequest, short_folder: Path) -> str:
    """The endpoint to bind."""
    return ipc_endpoint(short_folder / "worker.sock") if request.param == "ipc" else "tcp://127.0.0.1:*"


@pytest.fixture
def pair(context: Context, endpoint: str) -> Iterator[tuple[Listener, Link]]:
    """Both ends of a connection."""
    with listener_on(context, endpoint) as listener, link_to(context, listener.endpoint) as link:
        yield listener, link
