"""Simulated workers, many in one process: each has a socket of its own and answers as a real worker does.

They hold no model and decode nothing: an edit is the same PNG each time, after a set time.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq
from PIL import Image, PngImagePlugin

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.sockets import Listener, ipc_endpoint

FINGERPRINT = "0" * 64
_PIXELS = 16
_BEAT_SECONDS = 1.0


class Member(msgspec.Struct, frozen=True):
    """One worker of the crowd; ``seconds`` is how long each of its jobs takes."""

    worker_id: str
    role: m.Role
    seconds: float
    spec: m.ModelSpec

    def state(self) -> m.WorkerState:
        """The state of a worker that has its model loaded."""
        model = m.LoadedModel(spec=self.spec, fingerprint=FINGERPRINT, size_bytes=0, load_seconds=0.0)
        return m.WorkerState(phase="ready", residency="device", model=model)

    @property
    def incarnation(self) -> str:
        """Its only life."""
        return f"{self.worker_id}-1"


def endpoint(folder: Path, member: Member) -> str:
    """Where the member's socket is."""
    return ipc_endpoint(folder / f"{member.worker_id}.sock")


def picture(kilobytes: int) -> bytes:
    """A PNG with few pixels and this size."""
    text = PngImagePlugin.PngInfo()
    text.add_text("filler", "x" * (kilobytes * 1024))
    with io.BytesIO() as file:
        Image.new("RGB", (_PIXELS, _PIXELS), (7, 7, 7)).save(file, "PNG", pnginfo=text)
        return file.getvalue()


@dataclass
class _Queue:
    """The jobs of a worker that have not started, by their round; one runs at a time."""

    waiting: list[m.Edit | m.Score] = field(default_factory=list)
    released: int = -1
    running: bool = False

    def next(self) -> m.Edit | m.Score | None:
        """Take the next job that may start."""
        if self.running or not self.waiting:
            return None
        job = self.waiting[0]
        if isinstance(job, m.Edit) and job.round is not None and job.round > self.released:
            return None
        self.running = True
        return self.waiting.pop(0)


class _Worker:
    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        folder: Path,
        member: Member,
        image: bytes,
        later: Callable[..., None],
    ) -> None:
        self.member = member
        self.listener = Listener(context, endpoint(folder, member))
        self._image, self._sha256 = image, hashlib.sha256(image).hexdigest()
        self._later = later
        self._state = member.state()
        self._runs: dict[str, bytes] = {}
        self._queue = _Queue()

    def read(self) -> None:
        while (received := self.listener.receive()) is not None:
            identity, message, _ = received
            match message:
                case m.Hello():
                    self._runs[message.run] = identity
                    self._queue = _Queue()
                    self._send(message.run, self._welcome(message.run))
                case m.Edit() | m.Score():
                    self._queue.waiting.append(message)
                case m.Release(round=number):
                    self._queue.released = max(self._queue.released, number)
                case m.Cancel(jobs=jobs):
                    kept = [job for job in self._queue.waiting if jobs is not None and job.job not in jobs]
                    self._queue.waiting = kept
                case m.Goodbye(run=run):
                    self._runs.pop(run, None)
                    self._queue = _Queue()
                case _:
                    pass
        self._start_next()

    def beat(self) -> None:
        for run in self._runs:
            self._send(run, m.Heartbeat(run=run, incarnation=self.member.incarnation, state=self._state))

    def _start_next(self) -> None:
        job = self._queue.next()
        if job is not None:
            started = time.time()
            queue = self._queue
            self._later(self.member.seconds, lambda: self._finish(job, started, queue))

    def _finish(self, job: m.Edit | m.Score, started: float, queue: _Queue) -> None:
        queue.running = False
        life, finished = self.member.incarnation, time.time()
        if isinstance(job, m.Score):
            judgement = m.Judgement(score=7.0, method="simulated", response="7")
            items = [m.ScoredItem(item=item.item, judgements=[judgement] * len(item.prompts)) for item in job.items]
            scored = m.Scored(
                run=job.run, incarnation=life, job=job.job, started=started, finished=finished, items=items
            )
            self._send(job.run, scored)
            self._start_next()
            return
        at_barrier = m.AtBarrier(
            run=job.run, incarnation=life, job=job.job, round=job.round, started=started, finished=finished
        )
        self._send(job.run, at_barrier)
        self._start_next()
        edited = m.Edited(
            run=job.run,
            incarnation=life,
            job=job.job,
            started=started,
            finished=finished,
            width=_PIXELS,
            height=_PIXELS,
            sha256=self._sha256,
        )
        self._send(job.run, edited, [self._image])

    def _welcome(self, run: str) -> m.Welcome:
        return m.Welcome(
            run=run,
            incarnation=self.member.incarnation,
            worker_id=self.member.worker_id,
            role=self.member.role,
            device="cpu",
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            state=self._state,
            now=time.time(),
        )

    def _send(self, run: str, message: m.Message, images: list[bytes] | None = None) -> None:
        identity = self._runs.get(run)
        if identity is not None:
            self.listener.send(identity, message, images or ())


class Crowd:
    """All workers of this process, on one thread."""

    def __init__(self, folder: Path, members: list[Member], image: bytes) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._workers = [_Worker(self._context, folder, member, image, self._later) for member in members]

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (time.monotonic() + seconds, self._count, action))

    def run(self) -> None:
        """Work until the parent is gone, or SIGTERM."""
        poller = zmq.Poller()
        by_socket = {worker.listener.socket: worker for worker in self._workers}
        for socket in by_socket:
            poller.register(socket, zmq.POLLIN)
        parent, beat_at = os.getppid(), 0.0
        while os.getppid() == parent:
            now = time.monotonic()
            due = self._due[0][0] if self._due else now + _BEAT_SECONDS
            for socket, _ in poller.poll(int(max(0.0, min(due - now, 0.2)) * 1000)):
                by_socket[socket].read()
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            if now - beat_at > _BEAT_SECONDS:
                beat_at = now
                for worker in self._workers:
                    worker.beat()


def main() -> int:
    """``python -m scripts.scale.crowd FOLDER KILOBYTES``, with the members as JSON on standard input."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scale.crowd")
    parser.add_argument("folder", type=Path)
    parser.add_argument("kilobytes", type=int)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    members = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Member])
    crowd = Crowd(options.folder, members, picture(options.kilobytes))
    print("ready", flush=True)
    crowd.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
