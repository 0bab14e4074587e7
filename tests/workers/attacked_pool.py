"""A real launcher with one simulated editor under attack, as an honest run sees them."""

from __future__ import annotations

import os
import sys
from typing import Any

import psutil
import zmq

from protocol import messages as m
from protocol.plan import PoolPlan, WorkerPlan
from protocol.pool import read_pool_card, read_worker_cards
from protocol.processes import create_time
from scripts.place import Place
from tests.waiting import wait_until
from tests.workers.worker_process import Client

SPEC = m.ModelSpec(role="editor", type="simulated", params={"load_seconds": 0})


class Pool:
    """A launcher process with one simulated editor, and the connections of an honest run."""

    def __init__(self) -> None:
        worker = WorkerPlan(
            worker_id="editor-0", role="editor", device="cpu", spec=SPEC, residency="device", command=[sys.executable]
        )
        self._place = Place()
        self.launcher = self._place.launch(PoolPlan(name="pool", workers=[worker], keep=True))
        self.folder = folder = self._place.home / "pool"
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, 4000)
        wait_until(lambda: [card for card in read_worker_cards(folder) if card.model is not None])
        (card,) = read_worker_cards(folder)
        self.worker, self.incarnation, self.worker_endpoint = psutil.Process(card.pid), card.incarnation, card.endpoint
        pool_card = read_pool_card(folder)
        assert pool_card is not None
        self.endpoint = pool_card.endpoint
        self.clients: list[Client] = []
        self.jobs = 0
        self.run = self.client("honest")
        self.run.hello()
        self.run.expect(m.Welcome)
        self.lease = self.client("honest", launcher=True)
        self.lease.hello()
        created = create_time(os.getpid())
        self.lease.send(m.Lease, mode="shared", pid=os.getpid(), pid_create_time=created)
        self.epoch = self.lease.expect(m.Granted).epoch

    def client(self, run: str, *, launcher: bool = False) -> Client:
        """Another connection, to the worker or the launcher."""
        client = _Client(self.context, self.endpoint if launcher else self.worker_endpoint, run, self.incarnation)
        self.clients.append(client)
        return client

    def edit(self) -> str:
        """Make an edit for the honest run, up to its acknowledgement; return the job's name."""
        job = f"honest-{self.jobs}"
        self.jobs += 1
        self.run.edit(job, epoch=self.epoch)
        edited = self.run.expect(m.Edited)
        assert edited.job == job
        self.run.send(m.Ack, job=job)
        return job

    def state(self) -> m.WorkerState:
        """The worker's state, after it has read all earlier messages."""
        self.run.hello()
        return self.run.expect(m.Welcome).state

    def status(self) -> m.PoolStatus:
        """The pool's status."""
        while self.lease.link.receive() is not None:
            pass
        self.lease.send(m.Status)
        return self.lease.expect(m.PoolStatus)

    @property
    def processes(self) -> tuple[psutil.Process, psutil.Process]:
        """Worker and launcher."""
        return self.worker, psutil.Process(self.launcher.pid)

    def memory(self) -> int:
        """The memory of worker and launcher together, in bytes."""
        return sum(process.memory_info().rss for process in self.processes)

    def logs(self) -> str:
        """The logs of worker and launcher."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        """End the pool and remove its files."""
        for client in self.clients:
            client.link.close()
        self.context.destroy(0)
        self.launcher.kill()
        self.launcher.wait()
        gone, _ = psutil.wait_procs([self.worker], timeout=10)
        assert gone, "the worker outlives its launcher"
        self._place.end_everything()


class _Client(Client):
    """A connection to any incarnation."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, run: str, incarnation: str) -> None:
        super().__init__(context, endpoint, run)
        self.incarnation = incarnation

    def send(self, message: type[m.Message], images: Any = (), **fields: Any) -> None:
        super().send(message, images, **{"incarnation": self.incarnation, **fields})
