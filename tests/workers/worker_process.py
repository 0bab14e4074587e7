"""A worker process of a test, and a client of it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import zmq
from PIL import Image

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.sockets import Link

Kind = TypeVar("Kind", bound=m.Message)
INCARNATION = "life-1"


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (10, 20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


class Client:
    """A run's connection."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, run: str) -> None:
        self.run = run
        self.link = Link(context, endpoint)

    def send(self, message: type[m.Message], images: Any = (), **fields: Any) -> None:
        defaults = {"run": self.run, "incarnation": INCARNATION}
        self.link.send(message(**{**defaults, **fields}), images)

    def hello(self, **fields: Any) -> None:
        # It sends no heartbeats: by default, a worker does not take it for dead while it waits for a message.
        defaults = {"protocol_version": PROTOCOL_VERSION, "version": VERSION, "dead_after_seconds": 3600.0}
        self.send(m.Hello, **{**defaults, **fields})

    def load(self, **fields: Any) -> None:
        spec = m.ModelSpec(role="editor", type="simulated", params={"load_seconds": 0})
        self.send(m.Load, **{"epoch": 1, "spec": spec, "residency": "device", **fields})

    def edit(self, job: str = "job", **fields: Any) -> None:
        settings: dict[str, Any] = {
            "key": f"c/{job}",
            "round": None,
            "instruction": "i",
            "seed": 0,
            "parameters": {},
            "epoch": 1,
        }
        self.send(m.Edit, [picture()], **{"job": job, **settings, **fields})

    def expect(self, kind: type[Kind], matching: Callable[[Kind], bool] = lambda _: True) -> Kind:
        """The next message of this kind; others are skipped."""
        while True:
            assert self.link.socket.poll(20_000), f"no {kind.__name__} came"
            received = self.link.receive()
            if received is not None and isinstance(received[0], kind) and matching(received[0]):
                return received[0]

    def rest(self) -> list[m.Message]:
        """What a worker that has ended had sent."""
        messages: list[m.Message] = []
        while self.link.socket.poll(100):
            received = self.link.receive()
            assert received is not None
            messages.append(received[0])
        return messages

    def silent_about(self, kind: type[m.Message]) -> None:
        """Check that no message of this kind comes before the answer to a Hello that is sent now."""
        self.hello()
        while True:
            assert self.link.socket.poll(20_000)
            received = self.link.receive()
            assert received is not None
            assert not isinstance(received[0], kind)
            if isinstance(received[0], m.Welcome):
                return


class WorkerProcess:
    """A worker process and the launcher's end of its life socket."""

    def __init__(self, folder: Path, role: m.Role = "editor") -> None:
        self.folder = folder
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "life.sock"))
        listener.listen(1)
        options = {
            "--worker-id": f"{role}-0",
            "--role": role,
            "--device": "cpu",
            "--local-device": "cpu",
            "--incarnation": INCARNATION,
            "--folder": str(folder),
            "--life-socket": str(folder / "life.sock"),
        }
        command = [sys.executable, "-m", "workers", "worker", *(part for pair in options.items() for part in pair)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.life, _ = listener.accept()
        listener.close()
        self.endpoint = json.loads(self.life.recv(4096))["endpoint"]
        self.clients: list[Client] = []

    def client(self, run: str) -> Client:
        self.clients.append(Client(self.context, self.endpoint, run))
        return self.clients[-1]


@contextlib.contextmanager
def new_worker(role: m.Role = "editor") -> Iterator[WorkerProcess]:
    """A worker process in a folder of its own; nothing of it stays behind."""
    home = Path(tempfile.mkdtemp(prefix="wb-", dir="/tmp"))
    (home / "pool").mkdir()
    made = WorkerProcess(home / "pool", role)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        made.life.close()
        for client in made.clients:
            client.link.close()
        made.context.term()
        shutil.rmtree(home)
