"""A pool whose authenticator ends: nobody gets in, until its process has noticed and started another one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import zmq

from protocol import messages as m
from protocol.keys import ClientKeys, PoolKeys, new_pair, read_client_keys
from protocol.plan import PoolPlan, WorkerPlan
from protocol.pool import read_pool_card
from scripts.place import Place
from tests.protocol.curve import connect
from tests.waiting import wait_until
from tests.workers.attacked_pool import SPEC
from tests.workers.test_hostile_tcp import hello

Wanted = TypeVar("Wanted")

pytestmark = pytest.mark.slow

_BREAKS = """
import os, sys
from pathlib import Path
from zmq.auth.base import Authenticator

handle = Authenticator.handle_zap_message

async def handle_or_end(self, message):
    order = Path(os.environ["BREAK_FOLDER"], "launcher" if "launch" in sys.argv else "worker")
    if order.exists():
        order.unlink()
        raise RuntimeError("the authenticator is told to end")
    await handle(self, message)

Authenticator.handle_zap_message = handle_or_end
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place()
    (tmp_path / "sitecustomize.py").write_text(_BREAKS)
    made.environment |= {"PYTHONPATH": str(tmp_path), "BREAK_FOLDER": str(tmp_path)}
    yield made
    made.end_everything()


def test_an_authenticator_that_ends_lets_nobody_in_and_is_started_again(place: Place, tmp_path: Path) -> None:
    worker = WorkerPlan(
        worker_id="editor-0", role="editor", device="cpu", spec=SPEC, residency="device", command=[sys.executable]
    )
    place.launch(PoolPlan(name="pool", workers=[worker], keep=True, transport="tcp", heartbeat_seconds=0.2))
    folder = place.home / "pool"
    card = read_pool_card(folder)
    assert card is not None
    known = read_client_keys(PoolKeys(folder).run_key)
    pair = new_pair()
    foreign = ClientKeys(public=pair.public, secret=pair.secret, server=known.server)

    def status(keys: ClientKeys) -> m.PoolStatus | None:
        return _answer(card.endpoint, keys, m.PoolStatus)

    def editor() -> m.WorkerStatus | None:
        report = status(known)
        return next((one for one in report.workers if one.server_key is not None), None) if report else None

    wait_until(lambda: editor() is not None)
    (tmp_path / "launcher").touch()
    assert status(foreign) is None
    assert not (tmp_path / "launcher").exists(), "it has not ended"
    wait_until(lambda: status(known) is not None)
    assert status(foreign) is None
    assert "it has been started again" in (folder / "launcher.log").read_text()

    reached = editor()
    assert reached is not None
    assert reached.endpoint is not None
    address, theirs = (
        reached.endpoint,
        ClientKeys(public=known.public, secret=known.secret, server=reached.server_key or ""),
    )
    greeting = m.Hello(
        run="honest",
        incarnation=reached.incarnation,
        protocol_version=hello("x").protocol_version,
        version=hello("x").version,
    )
    (tmp_path / "worker").touch()
    assert _answer(address, theirs, m.Welcome, greeting) is None
    assert not (tmp_path / "worker").exists(), "it has not ended"
    wait_until(lambda: _answer(address, theirs, m.Welcome, greeting) is not None)
    assert "it has been started again" in (folder / "editor-0.log").read_text()


def _answer(endpoint: str, keys: ClientKeys, kind: type[Wanted], message: m.Message | None = None) -> Wanted | None:
    """The answer to Hello, if it comes soon."""
    with zmq.Context() as context, connect(context, endpoint, keys) as link:
        link.socket.setsockopt(zmq.LINGER, 0)
        link.send(message or hello("honest"))
        while link.socket.poll(500):
            received = link.receive()
            if received is not None and isinstance(received[0], kind):
                return received[0]
    return None
