"""Fixtures of the protocol's tests."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder of the test's own with a path that is short enough for sockets; pytest's may not be."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="wb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZeroMQ context that has to end once the test has closed its sockets: the test fails if it hangs."""
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    ended = threading.Thread(target=made.term, daemon=True)
    ended.start()
    ended.join(10)
    assert not ended.is_alive(), "the context does not end: a socket was left open"
