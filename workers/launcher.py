"""The launcher: starts a pool's workers, has them load their models, watches them, grants the lease, ends them.

It binds the pool's control socket. It is also a client of each worker, by the same messages as a scheduler: so it has
models loaded and learns the workers' states.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
import uuid
from pathlib import Path

import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer
from protocol.mailbox import Mailbox
from protocol.plan import PoolPlan, WorkerPlan
from protocol.pool import POOL_CARD, PoolCard, write_card
from protocol.processes import create_time
from workers.arrivals import Arrivals, other_version
from workers.control_client import ControlClient, chooses_program, is_kept, open_own_process, silent_longest
from workers.door import open_door
from workers.leases import Grant, LeaseAction, Leases
from workers.managed_worker import ManagedWorker
from workers.pauses import Pauses
from workers.placers.declaration import make_placer
from workers.strangers import Strangers

log = logging.getLogger("warmbench.launcher")

_FIRST_LEASE_SECONDS = 60.0
"""A pool that is not kept warm ends if no run has used it in this time: the command that started it is gone."""

_SILENT_SECONDS = 60.0
"""How long an unreachable client is kept. Silence alone is no reason: a client that watches a pool only listens."""

MAX_CLIENTS = 256


class Launcher:
    """The loop of the launcher process. The caller holds the pool's lock."""

    def __init__(self, plan: PoolPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._keep = plan.keep
        self._started_monotonic = time.monotonic()
        self._pauses = Pauses(self._started_monotonic)
        self._life = uuid.uuid4().hex[:12]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._door = open_door(plan, folder, self._context, self._life)
        self._listener = self._door.listener
        self._strangers = Strangers(log)
        self._placer = make_placer(plan, folder)
        self._workers = {worker.worker_id: self._managed(worker) for worker in plan.workers}
        self._arrivals = Arrivals(plan, self._life, self._listener, self._workers, self._managed, self._strangers)
        self._leases = Leases()
        self._clients: dict[str, ControlClient] = {}
        self._mailbox = Mailbox()
        self._leased = False
        self._stopping = False
        self._last_broadcast = 0.0
        self._changed = False

    def _managed(self, worker: WorkerPlan) -> ManagedWorker:
        return ManagedWorker(self._context, self._plan, worker, self._folder, self._placer, self._door.entrance)

    # -- the loop

    def run(self) -> None:
        """Work until stopped, or until the last run has left a pool that is not kept warm."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
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
                started=time.time(),
                settings=self._plan.settings,
            ),
        )
        before = self._door.members()
        self._leases.begin_after(before.epoch)
        for name, worker in self._workers.items():
            if name in before.incarnations:
                worker.expect(before.incarnations[name], self._plan.dead_after_seconds)
            else:
                worker.start()
        try:
            while not (self._stopping and not any(one.alive or one.awaited for one in self._workers.values())):
                self._turn()
        finally:
            self._clean_up()

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._listener.socket, zmq.POLLIN)
        poller.register(self._mailbox.fileno(), select.POLLIN)
        self._door.register(poller)
        for worker in self._workers.values():
            worker.register(poller)
        for client in self._clients.values():
            if client.process is not None:
                poller.register(client.process, select.POLLIN)
        ready = dict(poller.poll(250))
        away = self._pauses.at_turn(time.monotonic())
        self._mailbox.run()
        if self._door.refresh():  # before reading: the sender's key may have been admitted since the last turn
            for worker in self._workers.values():
                worker.allow(self._door.entrance.allowed)
        for introduction in self._door.introductions(ready, self._strangers):
            self._arrivals.introduce(*introduction)
        self._strangers.read(self._listener, self._handle)
        for worker in self._workers.values():
            worker.update(away)
        for run, client in tuple(self._clients.items()):
            why = client.why_gone(ready, away)
            if why is not None:
                log.warning("run %.100r: %s", run, why)
                self._remove_client(run)
        self._broadcast_status()
        self._end_if_unused()

    def _on_signal(self, number: int, _frame: object) -> None:
        # A second signal hurries, but not a second SIGHUP: who lost a connection may not know how often.
        hurries = number != signal.SIGHUP
        name = signal.Signals(number).name
        self._mailbox.post(lambda: self._stop(now=self._stopping and hurries, why=f"signal {name}"))

    # -- clients

    def _handle(self, identity: bytes, message: m.AnyMessage, _images: list[Buffer]) -> None:
        use = self._door.use_of(self._listener.sender_key)
        if use is None:
            self._refuse_stranger(identity, message, "invalid", "its key has been taken back")
            return
        if use == "join":
            self._handle_worker(identity, message)
            return
        client = self._clients.get(message.run)
        # A run is bound to its connection: another one that uses its name neither ends it nor takes its lease.
        known = client is not None and client.identity == identity
        if client is not None and known:
            client.last_heard = time.monotonic()
        match message:
            case m.Hello(protocol_version=version) if version != PROTOCOL_VERSION:
                text = other_version("this command", message.version, version)
                self._refuse_stranger(identity, message, "protocol_version", text)
            case m.Hello():
                self._on_hello(identity, message, client)
            case m.Lease() if known:
                self._on_lease(message)
            case m.Reload() if known:
                self._on_reload(identity, message)
            case m.Status() if known:
                self._send_status(message.run)
            case m.Goodbye() if known:
                self._remove_client(message.run)
            case m.Stop() if known:
                self._stop(now=message.now, why=f"run {message.run!r:.100} asked for it")
            case m.Heartbeat() if known:
                if client is not None and client.process is None:
                    self._listener.send(identity, m.Heartbeat(run=message.run, incarnation=self._life))
            case m.Heartbeat():
                self._refuse_stranger(identity, message, "unknown_run", "say Hello first")
            case _:
                text = f"{type(message).__name__} is not a launcher's message, or came before Hello"
                self._refuse_stranger(identity, message, "invalid", text)

    def _handle_worker(self, identity: bytes, message: m.AnyMessage) -> None:
        """Take a message of a worker over TCP, whose key is for joining only."""
        refusal = self._arrivals.handle(identity, message, stopping=self._stopping)
        if refusal is not None:
            self._refuse_stranger(identity, message, *refusal)
        elif isinstance(message, m.Join):
            self._leases.begin_after(message.state.epoch)

    def _on_hello(self, identity: bytes, hello: m.Hello, earlier: ControlClient | None) -> None:
        key = self._listener.sender_key
        again = earlier is not None and earlier.key is not None and earlier.key == key
        if earlier is not None and earlier.identity != identity and not again:
            if earlier.process is not None or self._send_status(hello.run):
                self._refuse_stranger(identity, hello, "invalid", "this run has another connection")
                return
            self._remove_client(hello.run)
        if hello.run not in self._clients and not self._make_room():
            self._refuse_stranger(identity, hello, "invalid", f"{MAX_CLIENTS} runs are connected, which is the limit")
            return
        client = ControlClient(identity, time.monotonic(), hello.dead_after_seconds, key)
        if earlier is not None:
            client.process, client.leases = earlier.process, earlier.leases and again
        self._clients[hello.run] = client
        self._send_status(hello.run)

    def _make_room(self) -> bool:
        """Make room for one more client. At the limit, the one that was silent longest without a lease is dropped."""
        if len(self._clients) < MAX_CLIENTS:
            return True
        longest = silent_longest(self._clients)
        if longest is not None:
            self._strangers.record_drop("dropped a client to make room for another one", repr(longest)[:100])
            self._remove_client(longest)
        return longest is not None

    def _on_lease(self, message: m.Lease) -> None:
        client = self._clients[message.run]
        if not client.leases:
            # Over TCP, whoever asks may be on another machine: its heartbeats tell of its life.
            if self._plan.transport == "ipc":
                client.process = open_own_process(message.pid, message.pid_create_time)
                if client.process is None:
                    text = f"the process {message.pid} of run {message.run} has ended, or is another user's"
                    self._refuse(client.identity, message, "invalid", text)
                    self._remove_client(message.run)
                    return
            for worker in self._workers.values():
                worker.reset_deaths()
        client.leases = self._leased = True
        self._keep = self._keep or message.keep_warm
        if message.mode is not None:
            self._carry_out(self._leases.request(message.run, message.mode))
        else:
            client.keeps = self._changed = True

    def _on_reload(self, identity: bytes, message: m.Reload) -> None:
        if not self._leases.is_exclusive(message.run, message.epoch):
            text = f"Reload needs the exclusive lease, which run {message.run} (epoch {message.epoch}) does not hold"
            self._refuse(identity, message, "epoch", text)
            return
        named = [worker for name, worker in self._workers.items() if name in message.worker_ids]
        if self._plan.transport == "tcp" and any(chooses_program(message, one.plan) for one in named):
            # It could be any program, run as this user.
            text = (
                "with transport tcp, which other users reach, no run chooses the Python of workers, or a model's "
                "server: end the pool"
            )
            self._refuse(identity, message, "invalid", f"{text} (warmbench workers stop), and run again")
            return
        for worker in named:
            name = message.spec.name or message.spec.type
            log.info("run %.100r makes %s load %.500r", message.run, worker.plan.worker_id, name)
            worker.reload(message.spec, message.epoch, message.command)

    def _refuse(self, identity: bytes, message: m.AnyMessage, kind: m.RefusalKind, text: str) -> None:
        self._listener.send(identity, m.Refused(run=message.run, incarnation=self._life, kind=kind, message=text))

    def _refuse_stranger(self, identity: bytes, message: m.AnyMessage, kind: m.RefusalKind, text: str) -> None:
        """Refuse a message that is not from a client, or that no client may send."""
        self._strangers.record_drop("rejected a request that is not allowed", f"{type(message).__name__}: {text}")
        if self._strangers.should_answer(identity, kind, time.monotonic()):
            self._refuse(identity, message, kind, text)

    def _remove_client(self, run: str) -> None:
        client = self._clients.pop(run, None)
        if client is not None and client.process is not None:
            os.close(client.process)
        self._carry_out(self._leases.leave(run))

    def _carry_out(self, actions: list[LeaseAction]) -> None:
        for action in actions:
            client = self._clients.get(action.run)
            if client is None:
                continue
            answer: m.Message
            if isinstance(action, Grant):
                # The others learn who holds the lease, and the pool may have changed since this run's last status.
                self._changed = True
                self._note_members()
                self._send_status(action.run)
                answer = m.Granted(run=action.run, incarnation=self._life, epoch=action.epoch, mode=action.mode)
            else:
                answer = m.Waiting(run=action.run, incarnation=self._life, holders=list(action.holders))
            self._listener.send(client.identity, answer)

    def _broadcast_status(self) -> None:
        """Send the pool's status to all clients: at once when it has changed, else once per heartbeat interval."""
        now = time.monotonic()
        changed = self._changed or any(worker.changed for worker in self._workers.values())
        if changed or now - self._last_broadcast >= self._plan.heartbeat_seconds:
            if changed:
                self._note_members()
            self._changed, self._last_broadcast = False, now
            for worker in self._workers.values():
                worker.changed = False
            for run in tuple(self._clients):
                if not self._send_status(run):
                    self._drop_if_unreachable(run)

    def _note_members(self) -> None:
        incarnations = {name: one.incarnation for name, one in self._workers.items() if one.alive or one.awaited}
        self._door.note(self._leases.epoch, incarnations)

    def _drop_if_unreachable(self, run: str) -> None:
        """Drop a client that is unreachable, even if its process lives: it may have named any."""
        if time.monotonic() - self._clients[run].last_heard > _SILENT_SECONDS:
            self._strangers.record_drop("dropped a client that is unreachable", repr(run)[:100])
            self._remove_client(run)

    def _send_status(self, run: str) -> bool:
        """Send the pool's status to a client; False if it is gone or does not read."""
        status = m.PoolStatus(
            run=run,
            incarnation=self._life,
            workers=[worker.status() for worker in self._workers.values()],
            holders=list(self._leases.holders),
            waiting=list(self._leases.waiting),
            keep=self._keep or is_kept(self._clients),
            stopping=self._stopping,
        )
        return self._listener.send(self._clients[run].identity, status)

    # -- the end

    def _end_if_unused(self) -> None:
        if self._keep or is_kept(self._clients) or self._stopping or not self._leases.unused:
            return
        if self._leased:
            self._stop(now=False, why="the last run has left")
        elif time.monotonic() - self._started_monotonic > _FIRST_LEASE_SECONDS:
            self._stop(now=False, why="no run has used it")

    def _stop(self, *, now: bool, why: str) -> None:
        log.info("the pool ends: %s", why)
        self._stopping = self._changed = True
        for worker in self._workers.values():
            worker.stop(now=now)

    def _clean_up(self) -> None:
        for worker in self._workers.values():
            worker.clean_up()
        self._placer.close()
        for run, client in self._clients.items():
            if client.process is None:  # whose process is known watches this one as well
                farewell = m.Goodbye(run=run, incarnation=self._life, reason="the pool has ended")
                self._listener.send(client.identity, farewell)
        (self._folder / POOL_CARD).unlink(missing_ok=True)
        self._door.close()
        self._context.term()
        self._mailbox.close()
