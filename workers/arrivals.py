"""Worker processes that introduce themselves to their launcher: which worker of the pool each of them is."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable

import zmq
from msgspec import structs

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.devices import gpu_count, gpu_group
from protocol.plan import MAX_WORKERS, PoolPlan, WorkerPlan
from protocol.sockets import Listener
from workers.life_socket import Introduction
from workers.managed_worker import ManagedWorker
from workers.strangers import Strangers

Refusal = tuple[m.RefusalKind, str]


class Arrivals:
    """``workers`` are those of the pool, by name; one that joins without a free place is added."""

    def __init__(
        self,
        plan: PoolPlan,
        life: str,
        listener: Listener,
        workers: dict[str, ManagedWorker],
        manage: Callable[[WorkerPlan], ManagedWorker],
        strangers: Strangers,
    ) -> None:
        self._plan = plan
        self._life = life
        self._listener = listener
        self._workers = workers
        self._manage = manage
        self._strangers = strangers

    def introduce(self, introduction: Introduction, connection: socket.socket) -> None:
        """Connect to a worker process on this machine that has introduced itself."""
        worker = self._workers.get(introduction.worker_id)
        if worker is None or introduction.incarnation != worker.incarnation or worker.status().endpoint is not None:
            text = "an unknown worker, an earlier incarnation, or a second introduction"
            self._strangers.record_drop("closed a connection that is not a worker's", text)
            connection.close()
            return
        try:
            worker.introduced(connection, introduction.pid, introduction.endpoint)
        except zmq.ZMQError as error:
            self._strangers.record_drop("closed a connection that is not a worker's", repr(error)[:200])
            connection.close()

    def handle(self, identity: bytes, message: m.AnyMessage, *, stopping: bool) -> Refusal | None:
        """Take the message of a worker over TCP. Return why it is refused, if it is."""
        match message:
            case m.Join(protocol_version=version) if version != PROTOCOL_VERSION:
                who = f"the worker on {message.host:.100}"
                return "protocol_version", other_version(who, message.version, version)
            case m.Join():
                return self._join(identity, message, stopping=stopping)
            case m.Goodbye():
                self._goodbye(message)
                return None
            case _:
                return "invalid", "a worker's key is for joining only"

    def _join(self, identity: bytes, join: m.Join, *, stopping: bool) -> Refusal | None:
        """Take in a worker that introduces itself, or is heard again."""
        worker = self._place_for(join, stopping=stopping)
        if isinstance(worker, str):
            return "incarnation", worker
        farewell = m.Goodbye(run=join.run, incarnation=self._life, reason="the pool ends")
        try:
            worker.joined(join, lambda: self._listener.send(identity, farewell))
        except (zmq.ZMQError, ValueError) as error:
            return "invalid", f"{join.endpoint:.200} can't be connected to: {error}"
        assigned = m.Assigned(
            run=join.run,
            incarnation=self._life,
            worker_id=worker.plan.worker_id,
            device=worker.device,
            heartbeat_seconds=self._plan.heartbeat_seconds,
            dead_after_seconds=self._plan.dead_after_seconds,
            orphan_seconds=self._plan.orphan_seconds,
        )
        self._listener.send(identity, assigned)
        return None

    def _place_for(self, join: m.Join, *, stopping: bool) -> ManagedWorker | str:
        """The worker that this process is or becomes, or why it cannot be one."""
        workers = self._workers.values()
        known = next((worker for worker in workers if worker.incarnation == join.incarnation), None)
        if known is not None:
            return known
        if stopping:
            return "the pool is being stopped"
        if join.worker_id is not None:
            return f"another process is {join.worker_id} now"
        model = next((worker.plan for worker in workers if worker.plan.role == join.role), None)
        if model is None:
            return f"the pool has no {join.role}s"
        needed, found = gpu_count(model.device), gpu_count(join.device)
        if found < needed and needed > 1:
            problem = (
                f"each {join.role} of the pool takes {needed} GPUs; {join.host:.100} joined with {join.device:.100}"
            )
            return f"{problem}: add --device {gpu_group(range(needed))}"
        free = [worker for worker in workers if worker.plan.role == join.role and worker.free]
        if free:
            return next((worker for worker in free if worker.joined_before == join.incarnation), free[0])
        if len(self._workers) >= MAX_WORKERS:
            return f"the pool has {MAX_WORKERS} workers, which is the limit"
        number = next(number for number in itertools.count() if f"{join.role}-{number}" not in self._workers)
        grown = self._manage(structs.replace(model, worker_id=f"{join.role}-{number}"))
        self._workers[grown.plan.worker_id] = grown
        return grown

    def _goodbye(self, message: m.Goodbye) -> None:
        """A worker over TCP ends by itself, and says why."""
        for worker in self._workers.values():
            if worker.incarnation == message.incarnation:
                worker.said_goodbye(message.reason)


def other_version(who: str, version: str, protocol: int) -> str:
    """Say that somebody has another version of warmbench than this pool."""
    ours, its = f"{VERSION} (protocol {PROTOCOL_VERSION})", f"{version} (protocol {protocol})"
    return f"the pool has warmbench {ours}, {who} has {its}: install the same for both, and start the pool again"
