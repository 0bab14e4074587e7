"""Workers that do not tell the truth, in a pool directory of their own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import zmq
from PIL import Image

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer, ProtocolError, encode
from protocol.pool import POOL_CARD, PoolCard, private_folder, write_card
from protocol.processes import create_time
from protocol.sockets import Listener, ipc_endpoint

Answer = list[Buffer]


Spoil = Callable[[m.RunMessage, Sequence[Buffer]], list[Answer]]


def honest(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
    """What was to be said, once."""
    return [encode(message, images)]


class Liars:
    """A launcher and its workers in a thread: they do their work, and ``spoil`` has the last word on what they say."""

    def __init__(self, folder: Path, workers: Sequence[m.WorkerStatus], spoil: Spoil) -> None:
        private_folder(folder.parent)
        private_folder(folder)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._launcher = Listener(self._context, ipc_endpoint(folder / "pool.sock"))
        self._spoil = spoil
        self._statuses: dict[str, m.WorkerStatus] = {}
        self._listeners: dict[str, Listener] = {}
        for worker in workers:
            listener = Listener(self._context, ipc_endpoint(folder / f"{worker.worker_id}.sock"))
            self._listeners[worker.worker_id] = listener
            self._statuses[worker.worker_id] = msgspec.structs.replace(
                worker, endpoint=listener.endpoint, pid=os.getpid()
            )
        created = create_time(os.getpid())
        write_card(
            folder / POOL_CARD,
            PoolCard(
                endpoint=self._launcher.endpoint,
                pid=os.getpid(),
                pid_create_time=created,
                protocol_version=PROTOCOL_VERSION,
                version=VERSION,
                started=created,
            ),
        )
        self._peers: dict[str, tuple[bytes, str]] = {}
        self._beat = 0.0
        self._over = False
        self.problems: list[Exception] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            while not self._over:
                self._turn()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
            self.problems.append(error)
        for listener in (self._launcher, *self._listeners.values()):
            listener.close()
        self._context.destroy(0)

    def _turn(self) -> None:
        poller = zmq.Poller()
        for listener in (self._launcher, *self._listeners.values()):
            poller.register(listener.socket, zmq.POLLIN)
        poller.poll(50)
        self._hear("", self._launcher)
        for name, listener in self._listeners.items():
            self._hear(name, listener)
        if time.monotonic() - self._beat > 0.2:
            self._beat = time.monotonic()
            for name, (peer, run) in self._peers.items():
                status = self._statuses[name]
                beat = m.Heartbeat(run=run, incarnation=status.incarnation, state=status.state)
                self._listeners[name].send(peer, beat)

    def _hear(self, name: str, listener: Listener) -> None:
        with contextlib.suppress(ProtocolError):
            while (received := listener.receive()) is not None:
                peer, message, _ = received
                if isinstance(message, m.Hello) and name:
                    self._peers[name] = (peer, message.run)
                if isinstance(message, m.Goodbye):
                    self._peers.pop(name, None)
                answers = self._of_worker(name, message) if name else self._of_launcher(message)
                for answer, images in answers:
                    for frames in self._spoil(answer, images):
                        listener._send_frames([peer, *frames])

    def _of_launcher(self, message: m.AnyMessage) -> Iterator[tuple[m.RunMessage, Sequence[Buffer]]]:
        common: dict[str, Any] = {"run": message.run, "incarnation": "launcher"}
        if isinstance(message, m.Hello | m.Status):
            status: dict[str, Any] = {"holders": [], "waiting": [], "keep": True, "stopping": False}
            yield m.PoolStatus(**common, workers=list(self._statuses.values()), **status), ()
        elif isinstance(message, m.Lease) and message.mode is not None:
            yield m.Granted(**common, epoch=1, mode=message.mode), ()

    def _of_worker(self, name: str, message: m.AnyMessage) -> Iterator[tuple[m.RunMessage, Sequence[Buffer]]]:
        status = self._statuses[name]
        common: dict[str, Any] = {"run": message.run, "incarnation": status.incarnation}
        times: dict[str, Any] = {"started": time.time() - 0.01, "finished": time.time()}
        assert status.state is not None
        match message:
            case m.Hello():
                who: dict[str, Any] = {"worker_id": name, "role": status.role, "device": "cpu", "version": VERSION}
                yield m.Welcome(**common, **who, protocol_version=PROTOCOL_VERSION, state=status.state), ()
            case m.Edit():
                yield m.AtBarrier(**common, **times, job=message.job, round=message.round), ()
                yield edited(message, name, png((4, 3), message.key), **times)
            case m.Score():
                judgement = m.Judgement(score=5.0, method="simulated", response=name)
                items = [m.ScoredItem(item=item.item, judgements=[judgement]) for item in message.items]
                yield m.Scored(**common, **times, job=message.job, items=items), ()

    def close(self) -> None:
        """End it."""
        self._over = True
        self._thread.join()
        assert self.problems == []


def edited(edit: m.Edit, name: str, image: bytes, **times: Any) -> tuple[m.Edited, list[bytes]]:
    """An honest result."""
    digest = hashlib.sha256(image).hexdigest()
    common: dict[str, Any] = {"run": edit.run, "incarnation": edit.incarnation, "job": edit.job}
    return m.Edited(**common, **times, width=4, height=3, sha256=digest), [image]


def png(size: tuple[int, int], key: str = "") -> bytes:
    """An image that is the pair's own."""
    stream = io.BytesIO()
    Image.new("RGB", size, (len(key) % 256, sum(key.encode()) % 256, 7)).save(stream, "PNG")
    return stream.getvalue()
