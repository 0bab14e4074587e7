"""The launcher: starts the workers of one pool, has them load, watches them, grants the lease, ends them.

It binds the pool's control socket. It is itself a client of each worker, by the same messages as a scheduler: that is
how it has models loaded and learns how they stand. A Unix socket joins it to each worker for as long as both live, so
that either notices the other's end at once, however it came.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.mailbox import Mailbox
from protocol.plan import PoolPlan, WorkerPlan
from protocol.pool import POOL_CARD, PoolCard, write_card
from protocol.processes import create_time, open_pidfd
from protocol.sockets import Link, Listener, ipc_endpoint
from workers.leases import Action, Grant, Leases
from workers.spawn import log_path, spawn
from workers.supervision import GiveUp, Supervision
from workers.worker import LAUNCHER

log = logging.getLogger("warmbench.launcher")

_FIRST_LEASE_SECONDS = 60.0
"""A pool that nobody uses in this time, and that is not to be kept, ends: whoever started it is gone."""

_END_SECONDS = 10.0
"""How long a worker that has nothing to do may take to end."""


@dataclass
class _Client:
    """A run, or a command, on the control socket. ``process`` is a pidfd, there once the client asked for the lease."""

    identity: bytes
    process: int | None = None


@dataclass
class _Worker:
    """A worker and the life of it that runs now. Times are those of the monotonic clock, but ``started``."""

    plan: WorkerPlan
    supervision: Supervision = field(default_factory=Supervision)
    incarnation: str = ""
    popen: subprocess.Popen[bytes] | None = None
    process: int | None = None
    life: socket.socket | None = None
    link: Link | None = None
    pid: int = 0
    started: float = 0.0
    restart_at: float | None = None
    state: m.WorkerState | None = None
    beat: float = 0.0
    gave_up: bool = False
    exit_code: int | None = None
    kill_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.popen is not None


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
        self._life_path = folder / f"life-{self._life}.sock"
        self._life_socket = socket.socket(socket.AF_UNIX)
        self._life_socket.bind(str(self._life_path))
        self._life_socket.listen(64)
        self._strangers: dict[int, socket.socket] = {}
        self._workers = {worker.worker_id: _Worker(worker) for worker in plan.workers}
        self._leases = Leases()
        self._clients: dict[str, _Client] = {}
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
            self._start(worker)
        try:
            while not (self._stopping and not any(worker.alive for worker in self._workers.values())):
                self._turn()
        finally:
            self._clean_up()

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._listener.socket, zmq.POLLIN)
        for descriptor in (self._mailbox.fileno(), self._life_socket.fileno(), *self._strangers):
            poller.register(descriptor, select.POLLIN)
        for worker in self._workers.values():
            if worker.link:
                poller.register(worker.link.socket, zmq.POLLIN)
            if worker.process is not None:
                poller.register(worker.process, select.POLLIN)
        for client in self._clients.values():
            if client.process is not None:
                poller.register(client.process, select.POLLIN)
        ready = dict(poller.poll(250))
        self._mailbox.run()
        self._greet_strangers(ready)
        self._read_clients()
        for worker in self._workers.values():
            self._read_worker(worker)
            self._look_after(worker)
        for run, client in tuple(self._clients.items()):
            if client.process in ready and client.process is not None:
                log.warning("run %s: its process is gone", run)
                self._leave(run)
        self._announce()
        self._end_if_unused()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._mailbox.post(lambda: self._stop(now=self._stopping, why=f"signal {signal.Signals(number).name}"))

    # -- workers

    def _start(self, worker: _Worker) -> None:
        worker.incarnation = uuid.uuid4().hex[:12]
        worker.state, worker.restart_at, worker.exit_code, worker.kill_at = None, None, None, None
        worker.started = time.time()
        try:
            worker.popen = spawn(
                worker.plan,
                incarnation=worker.incarnation,
                folder=self._folder,
                life_socket=self._life_path,
                transport=self._plan.transport,
            )
        except OSError as error:
            log.error("%s can't be started with %s: %s", worker.plan.worker_id, worker.plan.command[0], error)
            worker.gave_up, worker.exit_code = True, 127
            self._changed = True
            return
        worker.pid = worker.popen.pid
        worker.process = os.pidfd_open(worker.popen.pid)
        log.info("%s started on %s (pid %d)", worker.plan.worker_id, worker.plan.device, worker.pid)

    def _greet_strangers(self, ready: dict[object, int]) -> None:
        """Take new life connections; a worker's first line says whose it is, with the endpoint that it bound."""
        if self._life_socket.fileno() in ready:
            stranger, _ = self._life_socket.accept()
            self._strangers[stranger.fileno()] = stranger
        for descriptor in [found for found in self._strangers if found in ready]:
            stranger = self._strangers.pop(descriptor)
            try:
                card = json.loads(stranger.recv(4096))
                worker = self._workers[card["worker_id"]]
                if card["incarnation"] != worker.incarnation:
                    raise ValueError("an earlier life")
            except (ValueError, KeyError, TypeError, OSError):
                stranger.close()
                continue
            worker.life, worker.pid = stranger, int(card["pid"])
            worker.link = Link(self._context, card["endpoint"])
            worker.link.send(
                m.Hello(
                    run=LAUNCHER,
                    incarnation=worker.incarnation,
                    protocol_version=PROTOCOL_VERSION,
                    version=VERSION,
                    heartbeat_seconds=self._plan.heartbeat_seconds,
                    dead_after_seconds=86400.0,
                )
            )
            worker.link.send(self._load_order(worker))

    def _load_order(self, worker: _Worker) -> m.Load:
        return m.Load(
            run=LAUNCHER,
            incarnation=worker.incarnation,
            epoch=0,
            spec=worker.plan.spec,
            residency=worker.plan.residency,
            serial=not self._plan.load_in_parallel,
            job_timeout_seconds=self._plan.job_timeout_seconds,
            load_timeout_seconds=self._plan.load_timeout_seconds,
        )

    def _read_worker(self, worker: _Worker) -> None:
        while worker.link is not None:
            try:
                received = worker.link.receive()
            except ProtocolError as error:
                log.warning("%s sent what is no message: %s", worker.plan.worker_id, error)
                continue
            if received is None:
                return
            message = received[0]
            if isinstance(message, m.Welcome | m.Heartbeat) and message.state is not None:
                before = worker.state
                worker.state = message.state
                if before is None or (before.phase, before.residency) != (message.state.phase, message.state.residency):
                    self._changed = True
                    log.info("%s is %s", worker.plan.worker_id, message.state.phase)
            elif isinstance(message, m.Refused):
                log.error("%s refused: %s", worker.plan.worker_id, message.message)

    def _look_after(self, worker: _Worker) -> None:
        now = time.monotonic()
        if worker.popen is not None:
            code = worker.popen.poll()
            if code is not None:
                self._on_death(worker, code)
            elif worker.kill_at is not None and now > worker.kill_at:
                log.warning("%s did not end: killed", worker.plan.worker_id)
                worker.popen.kill()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
                worker.kill_at = now + _END_SECONDS
            elif worker.link is not None and now - worker.beat > self._plan.heartbeat_seconds:
                worker.beat = now
                worker.link.send(m.Heartbeat(run=LAUNCHER, incarnation=worker.incarnation))
        elif worker.restart_at is not None and now >= worker.restart_at and not self._stopping:
            self._start(worker)

    def _on_death(self, worker: _Worker, code: int) -> None:
        worker.popen, worker.exit_code = None, code
        for closable in (worker.link, worker.life):
            if closable is not None:
                closable.close()
        worker.link = worker.life = None
        if worker.process is not None:
            os.close(worker.process)
            worker.process = None
        self._remove_traces(worker)
        self._changed = True
        if self._stopping:
            return
        finished = worker.state is not None and worker.state.done > 0
        decision = worker.supervision.died(finished_a_pair=finished)
        if isinstance(decision, GiveUp):
            worker.gave_up = True
            log.error("%s died %d times in a row: left dead", worker.plan.worker_id, decision.deaths)
        else:
            worker.restart_at = time.monotonic() + decision.delay
            log.warning("%s died (%s); again in %.1f s", worker.plan.worker_id, describe_exit(code), decision.delay)

    def _remove_traces(self, worker: _Worker) -> None:
        for path in (f"{worker.plan.worker_id}.json", f"{worker.plan.worker_id}-{worker.incarnation}.sock"):
            (self._folder / path).unlink(missing_ok=True)

    # -- clients

    def _read_clients(self) -> None:
        while True:
            try:
                received = self._listener.receive()
            except ProtocolError as error:
                log.warning("dropped what is no message: %s", error)
                continue
            if received is None:
                return
            self._handle(received[0], received[1])

    def _handle(self, identity: bytes, message: m.AnyMessage) -> None:
        match message:
            case m.Hello(protocol_version=version) if version != PROTOCOL_VERSION:
                text = f"this pool speaks protocol {PROTOCOL_VERSION}, not {version}: stop it and start it anew"
                refusal = m.Refused(run=message.run, incarnation=self._life, kind="protocol_version", message=text)
                self._listener.send(identity, refusal)
            case m.Hello():
                earlier = self._clients.get(message.run)
                self._clients[message.run] = _Client(identity, earlier.process if earlier else None)
                self._send_status(message.run)
            case m.Lease() if message.run in self._clients:
                self._on_lease(message)
            case m.Status() if message.run in self._clients:
                self._send_status(message.run)
            case m.Goodbye():
                self._leave(message.run)
            case m.Stop():
                self._stop(now=message.now, why=f"run {message.run} asked for it")
            case m.Heartbeat():
                pass
            case _:
                text = f"{type(message).__name__} is nothing for a launcher, or comes before Hello"
                self._listener.send(
                    identity, m.Refused(run=message.run, incarnation=self._life, kind="invalid", message=text)
                )

    def _on_lease(self, message: m.Lease) -> None:
        client = self._clients[message.run]
        if client.process is None:
            client.process = open_pidfd(message.pid, message.pid_create_time)
            if client.process is None:
                self._leave(message.run)
                return
        self._leased = True
        self._keep = self._keep or message.keep_warm
        self._tell(self._leases.request(message.run, message.mode))

    def _leave(self, run: str) -> None:
        client = self._clients.pop(run, None)
        if client is not None and client.process is not None:
            os.close(client.process)
        self._tell(self._leases.leave(run))

    def _tell(self, actions: list[Action]) -> None:
        for action in actions:
            client = self._clients.get(action.run)
            if client is None:
                continue
            answer: m.Message
            if isinstance(action, Grant):
                answer = m.Granted(run=action.run, incarnation=self._life, epoch=action.epoch, mode=action.mode)
            else:
                answer = m.Waiting(run=action.run, incarnation=self._life, holders=list(action.holders))
            self._listener.send(client.identity, answer)

    def _announce(self) -> None:
        """Tell all clients how the pool stands: at once when it has changed, else with every heartbeat."""
        now = time.monotonic()
        if self._changed or now - self._announced >= self._plan.heartbeat_seconds:
            self._changed, self._announced = False, now
            for run in self._clients:
                self._send_status(run)

    def _send_status(self, run: str) -> None:
        status = m.PoolStatus(
            run=run,
            incarnation=self._life,
            workers=[self._status_of(worker) for worker in self._workers.values()],
            holders=list(self._leases.holders),
            waiting=list(self._leases.waiting),
            stopping=self._stopping,
        )
        self._listener.send(self._clients[run].identity, status)

    def _status_of(self, worker: _Worker) -> m.WorkerStatus:
        return m.WorkerStatus(
            worker_id=worker.plan.worker_id,
            role=worker.plan.role,
            device=worker.plan.device,
            pid=worker.pid,
            alive=worker.alive,
            incarnation=worker.incarnation,
            endpoint=worker.link.endpoint if worker.link else None,
            exit_code=worker.exit_code,
            gave_up=worker.gave_up,
            log=str(log_path(self._folder, worker.plan.worker_id)),
            started=worker.started,
            state=worker.state,
        )

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
            if worker.popen is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL if now else signal.SIGTERM)
                if now:
                    worker.popen.kill()
            busy = worker.state is not None and worker.state.running is not None
            grace = self._plan.job_timeout_seconds if busy else _END_SECONDS
            worker.kill_at = time.monotonic() + grace

    def _clean_up(self) -> None:
        for worker in self._workers.values():
            if worker.popen is not None:
                worker.popen.kill()
                worker.popen.wait()
            self._remove_traces(worker)
        (self._folder / POOL_CARD).unlink(missing_ok=True)
        self._listener.close()
        self._context.term()
        for path in (self._life_path, self._folder / f"pool-{self._life}.sock"):
            path.unlink(missing_ok=True)


def describe_exit(code: int) -> str:
    """``exit code 1``, or ``SIGKILL``."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
