"""The launcher: starts the workers of one pool, has them load, watches them, grants the lease, ends them.

It binds the pool's control socket. It is itself a client of each worker, by the same messages as a scheduler: that is
how it has models loaded and learns how they stand. A Unix socket joins it to each worker for as long as both live, so
that either notices the other's end at once, however it came.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.mailbox import Mailbox
from protocol.plan import PoolPlan
from protocol.pool import POOL_CARD, PoolCard, write_card
from protocol.processes import create_time, open_pidfd
from protocol.sockets import Listener, ipc_endpoint
from workers.leases import Grant, LeaseAction, Leases
from workers.life_socket import LifeSocket, read_introduction
from workers.managed_worker import ManagedWorker
from workers.strangers import Strangers

log = logging.getLogger("warmbench.launcher")

_FIRST_LEASE_SECONDS = 60.0
"""A pool that nobody uses in this time, and that is not to be kept, ends: whoever started it is gone."""

_SILENT_SECONDS = 60.0
"""How long a client that nothing reaches is kept. Silence alone tells nothing: who watches a pool only listens."""

MAX_CLIENTS = 256
_MESSAGES_PER_TURN = 64
_READING_SECONDS = 0.05
"""How long a turn reads at most: the largest message that is none takes a tenth of a second to refuse."""


@dataclass
class _ControlClient:
    """A run, or a command, on the control socket. ``process`` is a pidfd, there once the client asked for the lease.

    ``heard`` is when it last said something, on the monotonic clock.
    """

    identity: bytes
    heard: float
    process: int | None = None


class Launcher:
    """The loop of the launcher process. The caller holds the pool's lock."""

    def __init__(self, plan: PoolPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._keep = plan.keep
        self._started = time.time()
        self._began = time.monotonic()
        self._life = uuid.uuid4().hex[:12]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        endpoint = "tcp://127.0.0.1:*" if plan.transport == "tcp" else ipc_endpoint(folder / f"pool-{self._life}.sock")
        self._listener = Listener(self._context, endpoint)
        self._life_socket = LifeSocket(folder / f"life-{self._life}.sock")
        self._strangers = Strangers(log)
        self._workers = {
            worker.worker_id: ManagedWorker(self._context, plan, worker, folder, self._life_socket.path)
            for worker in plan.workers
        }
        self._leases = Leases()
        self._clients: dict[str, _ControlClient] = {}
        self._mailbox = Mailbox()
        self._leased = False
        self._stopping = False
        self._announced = 0.0
        self._changed = False

    # -- the loop

    def run(self) -> None:
        """Work until told to stop, or until nobody uses a pool that is not to be kept."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        self._mailbox.wake_on_signals()
        write_card(
            self._folder / POOL_CARD,
            PoolCard(
                endpoint=self._listener.endpoint,
                pid=os.getpid(),
                pid_create_time=create_time(os.getpid()),
                protocol_version=PROTOCOL_VERSION,
                version=VERSION,
                started=self._started,
            ),
        )
        for worker in self._workers.values():
            worker.start()
        try:
            while not (self._stopping and not any(worker.alive for worker in self._workers.values())):
                self._turn()
        finally:
            self._clean_up()

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._listener.socket, zmq.POLLIN)
        poller.register(self._mailbox.fileno(), select.POLLIN)
        self._life_socket.register(poller)
        for worker in self._workers.values():
            worker.register(poller)
        for client in self._clients.values():
            if client.process is not None:
                poller.register(client.process, select.POLLIN)
        ready = dict(poller.poll(250))
        self._mailbox.run()
        self._connect_workers(ready)
        self._read_clients()
        for worker in self._workers.values():
            worker.attend()
        for run, client in tuple(self._clients.items()):
            if client.process in ready and client.process is not None:
                log.warning("run %.100r: its process is gone", run)
                self._leave(run)
        self._announce()
        self._end_if_unused()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._mailbox.post(lambda: self._stop(now=self._stopping, why=f"signal {signal.Signals(number).name}"))

    def _connect_workers(self, ready: Mapping[object, int]) -> None:
        """Connect to the worker processes that have introduced themselves."""
        for connection in self._life_socket.readable(ready):
            try:
                introduction = read_introduction(connection)
                worker = self._workers[introduction.worker_id]
                if introduction.incarnation != worker.incarnation or worker.status().endpoint is not None:
                    raise ValueError("an earlier incarnation, or a second introduction")
                worker.greet(connection, introduction.pid, introduction.endpoint)
            except (ValueError, KeyError, TypeError, RecursionError, OSError, zmq.ZMQError) as error:
                self._strangers.dropped("closed a connection that is no worker's", repr(error)[:200])
                connection.close()

    # -- clients

    def _read_clients(self) -> None:
        end = time.monotonic() + _READING_SECONDS
        for _ in range(_MESSAGES_PER_TURN):
            try:
                received = self._listener.receive()
            except ProtocolError as error:
                self._strangers.dropped("dropped what is no message", str(error))
            else:
                if received is None:
                    return
                self._handle(received[0], received[1])
            if time.monotonic() > end:
                return

    def _handle(self, identity: bytes, message: m.AnyMessage) -> None:
        client = self._clients.get(message.run)
        # A run is its connection's: who only knows its name neither ends it nor takes its lease.
        known = client is not None and client.identity == identity
        if client is not None and known:
            client.heard = time.monotonic()
        match message:
            case m.Hello(protocol_version=version) if version != PROTOCOL_VERSION:
                text = f"this pool speaks protocol {PROTOCOL_VERSION}, not {version}: stop it and start it anew"
                self._turn_away(identity, message, "protocol_version", text)
            case m.Hello():
                self._on_hello(identity, message, client)
            case m.Lease() if known:
                self._on_lease(message)
            case m.Reload() if known:
                self._on_reload(identity, message)
            case m.Status() if known:
                self._send_status(message.run)
            case m.Goodbye() if known:
                self._leave(message.run)
            case m.Stop() if known:
                self._stop(now=message.now, why=f"run {message.run!r:.100} asked for it")
            case m.Heartbeat() if known:
                pass
            case _:
                text = f"{type(message).__name__} is nothing for a launcher, or comes before Hello"
                self._turn_away(identity, message, "invalid", text)

    def _on_hello(self, identity: bytes, hello: m.Hello, earlier: _ControlClient | None) -> None:
        if earlier is not None and earlier.identity != identity:
            if earlier.process is not None or self._send_status(hello.run):
                self._turn_away(identity, hello, "invalid", "this run is here, on another connection")
                return
            self._leave(hello.run)
        if hello.run not in self._clients and not self._make_room():
            self._turn_away(identity, hello, "invalid", f"{MAX_CLIENTS} runs are here: there is no room for more")
            return
        process = earlier.process if earlier else None
        self._clients[hello.run] = _ControlClient(identity, time.monotonic(), process)
        self._send_status(hello.run)

    def _make_room(self) -> bool:
        """Have room for one more client: where there are too many, one that only listens has to go."""
        if len(self._clients) < MAX_CLIENTS:
            return True
        listening = [run for run, client in self._clients.items() if client.process is None]
        if listening:
            longest = min(listening, key=lambda run: self._clients[run].heard)
            self._strangers.dropped("dropped a client to have room for another one", repr(longest)[:100])
            self._leave(longest)
        return bool(listening)

    def _on_lease(self, message: m.Lease) -> None:
        client = self._clients[message.run]
        if client.process is None:
            client.process = _open_own(message.pid, message.pid_create_time)
            if client.process is None:
                text = f"the process {message.pid} of run {message.run} is not there any more, or is another user's"
                self._refuse(client.identity, message, "invalid", text)
                self._leave(message.run)
                return
            for worker in self._workers.values():
                worker.forgive()
        self._leased = True
        self._keep = self._keep or message.keep_warm
        self._tell(self._leases.request(message.run, message.mode))

    def _on_reload(self, identity: bytes, message: m.Reload) -> None:
        if not self._leases.is_exclusive(message.run, message.epoch):
            text = f"reloading needs the exclusive lease, which run {message.run} (epoch {message.epoch}) does not have"
            self._refuse(identity, message, "epoch", text)
            return
        for worker_id in message.worker_ids:
            if worker_id in self._workers:
                name = message.spec.name or message.spec.type
                log.info("run %.100r has %s load %.500r", message.run, worker_id, name)
                self._workers[worker_id].reload(message.spec, message.epoch)

    def _refuse(self, identity: bytes, message: m.AnyMessage, kind: m.RefusalKind, text: str) -> None:
        self._listener.send(identity, m.Refused(run=message.run, incarnation=self._life, kind=kind, message=text))

    def _turn_away(self, identity: bytes, message: m.AnyMessage, kind: m.RefusalKind, text: str) -> None:
        """Refuse one that is no client, or asks for what no client may have."""
        self._strangers.dropped("refused what is not to be had so", f"{type(message).__name__}: {text}")
        if self._strangers.is_to_be_told(identity, kind, time.monotonic()):
            self._refuse(identity, message, kind, text)

    def _leave(self, run: str) -> None:
        client = self._clients.pop(run, None)
        if client is not None and client.process is not None:
            os.close(client.process)
        self._tell(self._leases.leave(run))

    def _tell(self, actions: list[LeaseAction]) -> None:
        for action in actions:
            client = self._clients.get(action.run)
            if client is None:
                continue
            answer: m.Message
            if isinstance(action, Grant):
                # The others are to know who has it, and what it is granted may have changed since it last heard.
                self._changed = True
                self._send_status(action.run)
                answer = m.Granted(run=action.run, incarnation=self._life, epoch=action.epoch, mode=action.mode)
            else:
                answer = m.Waiting(run=action.run, incarnation=self._life, holders=list(action.holders))
            self._listener.send(client.identity, answer)

    def _announce(self) -> None:
        """Tell all clients how the pool stands: at once when it has changed, else with every heartbeat."""
        now = time.monotonic()
        changed = self._changed or any(worker.changed for worker in self._workers.values())
        if changed or now - self._announced >= self._plan.heartbeat_seconds:
            self._changed, self._announced = False, now
            for worker in self._workers.values():
                worker.changed = False
            for run in tuple(self._clients):
                if not self._send_status(run):
                    self._forget_if_gone(run)

    def _forget_if_gone(self, run: str) -> None:
        """Forget a client that nothing reaches, also one whose process lives: it may have named any process."""
        if time.monotonic() - self._clients[run].heard > _SILENT_SECONDS:
            self._strangers.dropped("forgot a client that is gone without a goodbye", repr(run)[:100])
            self._leave(run)

    def _send_status(self, run: str) -> bool:
        """Tell a client how the pool stands; False if it is gone or does not read."""
        status = m.PoolStatus(
            run=run,
            incarnation=self._life,
            workers=[worker.status() for worker in self._workers.values()],
            holders=list(self._leases.holders),
            waiting=list(self._leases.waiting),
            keep=self._keep,
            stopping=self._stopping,
        )
        return self._listener.send(self._clients[run].identity, status)

    # -- the end

    def _end_if_unused(self) -> None:
        if self._keep or self._stopping or not self._leases.unused:
            return
        if self._leased:
            self._stop(now=False, why="the last run has left")
        elif time.monotonic() - self._began > _FIRST_LEASE_SECONDS:
            self._stop(now=False, why="nobody came to use it")

    def _stop(self, *, now: bool, why: str) -> None:
        log.info("the pool ends: %s", why)
        self._stopping = self._changed = True
        for worker in self._workers.values():
            worker.stop(now=now)

    def _clean_up(self) -> None:
        for worker in self._workers.values():
            worker.clean_up()
        (self._folder / POOL_CARD).unlink(missing_ok=True)
        self._listener.close()
        self._context.term()
        self._mailbox.close()
        self._life_socket.close()
        (self._folder / f"pool-{self._life}.sock").unlink(missing_ok=True)


def _open_own(pid: int, created: float) -> int | None:
    """A descriptor of this very process, or None if it has ended or is another user's."""
    descriptor = open_pidfd(pid, created)
    if descriptor is not None and not _is_own(pid):
        os.close(descriptor)
        return None
    return descriptor


def _is_own(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}").stat().st_uid == os.getuid()
    except OSError:
        return False
