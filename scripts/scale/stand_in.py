"""A stand-in for the launcher of a crowd: it grants every lease, and reports the workers as a launcher does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.pool import POOL_CARD, PoolCard, write_card
from protocol.processes import create_time
from protocol.sockets import Listener, ipc_endpoint
from scripts.scale.crowd import Member, endpoint

_STATUS_SECONDS = 1.0
_LIFE = "launcher-1"


class StandIn:
    """Answers on a thread of its own until ``close``."""

    def __init__(self, folder: Path, members: Sequence[Member]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._listener = Listener(self._context, ipc_endpoint(folder / "launcher.sock"))
        self._workers = [_status(folder, member) for member in members]
        self._runs: dict[str, bytes] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        card = PoolCard(
            endpoint=self._listener.endpoint,
            pid=os.getpid(),
            pid_create_time=create_time(os.getpid()),
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            started=time.time(),
        )
        write_card(folder / POOL_CARD, card)
        self._thread.start()

    def _serve(self) -> None:
        status_at = 0.0
        while not self._ended.is_set():
            if self._listener.socket.poll(100):
                self._read()
            if time.monotonic() - status_at > _STATUS_SECONDS:
                status_at = time.monotonic()
                for run in tuple(self._runs):
                    self._report(run)
        self._listener.close()
        self._context.term()

    def _read(self) -> None:
        while (received := self._listener.receive()) is not None:
            identity, message, _ = received
            match message:
                case m.Hello(run=run):
                    self._runs[run] = identity
                    self._report(run)
                case m.Lease(run=run, mode=mode) if mode is not None:
                    self._listener.send(identity, m.Granted(run=run, incarnation=_LIFE, epoch=1, mode=mode))
                    self._report(run)
                case m.Goodbye(run=run):
                    self._runs.pop(run, None)
                case _:
                    pass

    def _report(self, run: str) -> None:
        holders = list(self._runs)
        status = m.PoolStatus(
            run=run, incarnation=_LIFE, workers=self._workers, holders=holders, waiting=[], keep=True, stopping=False
        )
        self._listener.send(self._runs[run], status)

    def close(self) -> None:
        """Stop answering."""
        self._ended.set()
        self._thread.join()


def _status(folder: Path, member: Member) -> m.WorkerStatus:
    return m.WorkerStatus(
        worker_id=member.worker_id,
        role=member.role,
        device="cpu",
        pid=os.getpid(),
        alive=True,
        spec=member.spec,
        incarnation=member.incarnation,
        endpoint=endpoint(folder, member),
        log="none",
        started=time.time(),
        state=member.state(),
    )
