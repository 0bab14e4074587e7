"""A worker process: one device, one model, any number of runs.

The main thread owns the socket and answers at once, whatever the device is doing; the device thread runs the model;
codec threads decode the next image and encode the last one meanwhile. What is done next is decided in ``workers.jobs``,
this file carries it out. Heavy imports happen on the device thread, after the first message can be answered.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer, ProtocolError
from protocol.mailbox import Mailbox
from protocol.pool import ModelCard, WorkerCard, write_card
from protocol.processes import create_time
from protocol.sockets import Listener
from workers import jobs as j
from workers.device import Device, Outcome
from workers.holder import ModelHolder
from workers.payloads import sendable
from workers.strangers import Strangers
from workers.workbench import Workbench

log = logging.getLogger("warmbench.worker")

LAUNCHER = "launcher"
"""The run id under which the pool's launcher speaks; it never has jobs."""

_MESSAGES_PER_TURN = 64
_READING_SECONDS = 0.05
"""How long a turn reads at most: the largest message that is none takes a tenth of a second to refuse."""

MAX_RUNS = 256
MAX_JOBS = 4096
"""Of one run. The scheduler gives an editor two rounds, of at most 1000 each; a ``Welcome`` can list 8192."""

_BEATS_PER_SECOND = 500
"""To all runs together."""

_CLAIM_SECONDS = 2.0
"""How long a second connection that speaks for a run may wait for the first one to turn out to be gone."""

_DELIVERY_SECONDS = 5.0
"""How long a worker that is told to end stays for the acknowledgement of what it has finished."""


@dataclass
class _Peer:
    """A run on the other side of the socket. Times are those of the monotonic clock."""

    identity: bytes
    heard: float
    heartbeat_seconds: float
    dead_after_seconds: float
    beat: float = 0.0
    worked: bool = False


@dataclass(frozen=True)
class _Claim:
    """A Hello for a run that is here already, on another connection."""

    identity: bytes
    hello: m.Hello
    until: float


@dataclass(frozen=True)
class Identity:
    """Who a worker is."""

    worker_id: str
    role: m.Role
    device: str
    local_device: str
    incarnation: str


@dataclass
class _Status:
    """What heartbeats tell, beside the workbench's activity."""

    phase: m.Phase = "starting"
    residency: m.Residency = "disk"
    model: m.LoadedModel | None = None
    error: str | None = None
    epoch: int = 0


class Worker:
    """The loop of a worker process."""

    def __init__(self, identity: Identity, endpoint: str, folder: Path, parent: socket.socket) -> None:
        self._identity = identity
        self._folder = folder
        self._parent = parent
        self._started = time.time()
        self._created = create_time(os.getpid())
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._listener = Listener(self._context, endpoint)
        self._peers: dict[str, _Peer] = {}
        self._claims: dict[str, _Claim] = {}
        self._strangers = Strangers(log)
        self._status = _Status()
        self._mailbox = Mailbox()
        self._device = Device(self._post_outcome)
        self._holder = ModelHolder(identity.local_device, folder, self._device.watchdog)
        self._bench = Workbench(self._mailbox, self._device, self._holder, self._send, self._tell_launcher)
        self._jobs = self._bench.jobs
        self._moving = 0
        self._ending = False
        self._end_by: float | None = None

    @property
    def endpoint(self) -> str:
        """Where the worker is bound."""
        return self._listener.endpoint

    # -- the loop

    def run(self) -> None:
        """Work until told to end, or until the launcher is gone."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._mailbox.post(self._end))
        self._mailbox.wake_on_signals()
        self._write_card()
        poller = zmq.Poller()
        poller.register(self._listener.socket, zmq.POLLIN)
        poller.register(self._mailbox.fileno(), select.POLLIN)
        poller.register(self._parent.fileno(), select.POLLIN)
        while not self._is_over():
            ready = dict(poller.poll(self._wait_ms()))
            if self._parent.fileno() in ready and not self._parent.recv(64):
                log.warning("the launcher is gone: ending")
                break
            self._mailbox.run()
            self._read_messages()
            self._look_after_peers()
        for run in self._peers:
            self._send(run, m.Goodbye(run=run, incarnation=self._identity.incarnation, reason="the worker ends"))
        self._listener.close()
        self._context.term()

    def _is_over(self) -> bool:
        """Told to end, done on the device, and what was done is safe, or nobody takes it."""
        if not self._ending or self._jobs.running is not None:
            return False
        self._end_by = self._end_by or time.monotonic() + _DELIVERY_SECONDS
        return not self._jobs.outstanding or time.monotonic() > self._end_by

    def _wait_ms(self) -> int:
        shortest = min((1.0, *(peer.heartbeat_seconds for peer in self._peers.values())))
        return max(10, int(shortest * 500))

    def _post_outcome(self, outcome: Outcome) -> None:
        self._mailbox.post(lambda: outcome.tag(outcome))

    def _end(self) -> None:
        self._ending = True
        self._jobs.usable(False)

    # -- messages in

    def _read_messages(self) -> None:
        end = time.monotonic() + _READING_SECONDS
        for _ in range(_MESSAGES_PER_TURN):
            try:
                received = self._listener.receive()
            except ProtocolError as error:
                self._strangers.dropped("dropped what is no message", str(error))
            else:
                if received is None:
                    return
                self._handle(*received)
            if time.monotonic() > end:
                return

    def _handle(self, identity: bytes, message: m.AnyMessage, images: list[Buffer]) -> None:
        if isinstance(message, m.Hello):
            self._on_hello(identity, message)
            return
        peer = self._peers.get(message.run)
        if peer is None or peer.identity != identity or message.incarnation != self._identity.incarnation:
            kind: m.RefusalKind = "unknown_run" if message.incarnation == self._identity.incarnation else "incarnation"
            self._turn_away(identity, message, kind, "say Hello first, and to this incarnation")
            return
        peer.heard = time.monotonic()
        match message:
            case m.Edit() | m.Score():
                self._on_job(identity, message, images)
            case m.Release():
                self._bench.act(self._jobs.release(message.run, message.round))
            case m.Ack():
                self._bench.act(self._jobs.acknowledged(j.JobKey(message.run, message.job)))
            case m.Cancel():
                self._bench.act(self._jobs.cancel(message.run, message.jobs))
            case m.Load():
                self._on_load(identity, message)
            case m.Place():
                self._on_place(identity, message)
            case m.Goodbye():
                self._drop(message.run)
            case m.Heartbeat():
                pass
            case _:
                self._refuse(identity, message, "invalid", f"{type(message).__name__} is nothing for a worker")

    def _on_hello(self, identity: bytes, hello: m.Hello) -> None:
        refusal = self._why_not(hello)
        now = time.monotonic()
        earlier = self._peers.get(hello.run)
        if refusal is not None:
            self._turn_away(identity, hello, *refusal)
            return
        if earlier is not None and earlier.identity != identity and self._is_there(earlier, hello.run):
            # A run is its connection's: who only knows its name neither reads its results nor cancels its jobs.
            self._claims[hello.run] = _Claim(identity, hello, now + _CLAIM_SECONDS)
            return
        if earlier is None and not self._make_room():
            self._turn_away(
                identity, hello, "invalid", f"{MAX_RUNS} runs have jobs here, and there is no room for more"
            )
            return
        times = (hello.heartbeat_seconds, hello.dead_after_seconds)
        self._peers[hello.run] = _Peer(identity, now, *times, worked=earlier is not None and earlier.worked)
        resend = self._jobs.attach(hello.run)
        queued, running, unacknowledged = self._jobs.unfinished(hello.run)
        welcome = m.Welcome(
            run=hello.run,
            incarnation=self._identity.incarnation,
            worker_id=self._identity.worker_id,
            role=self._identity.role,
            device=self._identity.device,
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            state=self._state(),
            queued=queued,
            running=running,
            unacknowledged=unacknowledged,
        )
        self._send(hello.run, welcome)
        self._bench.act(resend)

    def _why_not(self, hello: m.Hello) -> tuple[m.RefusalKind, str] | None:
        if hello.protocol_version != PROTOCOL_VERSION:
            return "protocol_version", f"this worker speaks protocol {PROTOCOL_VERSION}, not {hello.protocol_version}"
        if hello.incarnation != self._identity.incarnation:
            return "incarnation", f"this is incarnation {self._identity.incarnation}"
        model = self._status.model
        if hello.fingerprint and model and hello.fingerprint != model.fingerprint:
            return "fingerprint", f"this worker holds a model with fingerprint {model.fingerprint}"
        return None

    def _is_there(self, peer: _Peer, run: str) -> bool:
        """Whether its connection is: ZeroMQ tells it of whatever is sent."""
        return self._listener.send(peer.identity, m.Heartbeat(run=run, incarnation=self._identity.incarnation))

    def _make_room(self) -> bool:
        """Have room for one more run: where there are too many, who has no jobs and was silent the longest has to go.

        It may say Hello again, and is told so when it speaks.
        """
        if len(self._peers) < MAX_RUNS:
            return True
        idle = [run for run in self._peers if run != LAUNCHER and not any(self._jobs.unfinished(run))]
        if idle:
            longest = min(idle, key=lambda run: self._peers[run].heard)
            self._strangers.dropped("dropped a run to have room for another one", repr(longest)[:100])
            self._drop(longest)
        return bool(idle)

    def _look_after_claims(self, now: float) -> None:
        for run, claim in tuple(self._claims.items()):
            peer = self._peers.get(run)
            if peer is None or not self._is_there(peer, run):
                del self._claims[run]
                self._on_hello(claim.identity, claim.hello)
            elif now > claim.until:
                del self._claims[run]
                self._strangers.dropped("refused a second connection of one run", repr(run)[:100])
                self._turn_away(claim.identity, claim.hello, "unknown_run", "this run is here, on another connection")

    def _on_job(self, identity: bytes, message: m.Edit | m.Score, images: list[Buffer]) -> None:
        wanted = "editor" if isinstance(message, m.Edit) else "reward"
        if self._identity.role != wanted:
            text = f"{self._identity.worker_id} is no {wanted}"
            self._refuse(identity, message, "invalid", text, message.job)
        elif message.epoch < self._status.epoch:
            text = f"epoch {message.epoch} is over, it is {self._status.epoch} now"
            self._refuse(identity, message, "epoch", text, message.job)
        elif self._status.phase == "failed":
            self._refuse(identity, message, "not_ready", self._status.error or "the model failed to load", message.job)
        elif sum(map(len, self._jobs.unfinished(message.run))) >= MAX_JOBS:
            self._refuse(identity, message, "invalid", f"{MAX_JOBS} jobs of this run are here already", message.job)
        else:
            self._status.epoch = message.epoch
            self._peers[message.run].worked = True
            self._bench.add(message, images)

    def _on_load(self, identity: bytes, message: m.Load) -> None:
        if message.epoch < self._status.epoch:
            self._refuse(identity, message, "epoch", f"it is epoch {self._status.epoch} now")
            return
        self._status.epoch = message.epoch
        self._bench.job_timeout = message.job_timeout_seconds
        self._begin_move(message.epoch)

        def enter(phase: m.Phase) -> None:
            self._mailbox.post(lambda: self._enter(phase))

        def load() -> m.LoadedModel:
            timeout = message.load_timeout_seconds
            return self._holder.load(
                message.spec, message.residency, serial=message.serial, timeout=timeout, enter=enter
            )

        def loaded(outcome: Outcome) -> None:
            self._status.model = outcome.value
            self._status.error = sendable(outcome.error) if outcome.error else None
            if outcome.error:
                log.error("the model was not loaded: %s", outcome.error)
                self._bench.turn_away("not_ready", self._status.error or "the model failed to load")
            else:
                self._status.residency = message.residency
            self._write_card()
            self._end_move("failed" if outcome.error else "ready")

        self._device.submit(loaded, load, message.load_timeout_seconds)

    def _on_place(self, identity: bytes, message: m.Place) -> None:
        if message.epoch < self._status.epoch:
            self._refuse(identity, message, "epoch", f"it is epoch {self._status.epoch} now")
            return
        self._status.epoch = message.epoch
        self._begin_move(message.epoch)

        def placed(outcome: Outcome) -> None:
            if outcome.error is None:
                self._status.residency = message.residency
            answer = m.Placed(
                run=message.run,
                incarnation=message.incarnation,
                epoch=message.epoch,
                residency=message.residency,
                seconds=max(0.0, outcome.finished - outcome.started),
                error=sendable(outcome.error) if outcome.error else None,
            )
            self._end_move("ready" if self._status.model is not None else self._status.phase)
            self._send(message.run, answer)

        self._device.submit(placed, lambda: self._holder.place(message.residency), self._bench.job_timeout)

    def _begin_move(self, epoch: int) -> None:
        self._moving += 1
        self._jobs.usable(False)
        # What was given under an earlier lease must not run on what the new one has put here.
        self._bench.turn_away("epoch", f"it is epoch {epoch} now", before_epoch=epoch)

    def _end_move(self, phase: m.Phase) -> None:
        self._moving -= 1
        self._enter(phase)
        usable = self._moving == 0 and phase == "ready" and self._status.residency == "device"
        self._bench.act(self._jobs.usable(usable and not self._ending))

    def _enter(self, phase: m.Phase) -> None:
        self._status.phase = phase
        for run in tuple(self._peers):
            self._beat(run)

    # -- messages out

    def _send(self, run: str, message: m.Message, images: Sequence[Buffer] = ()) -> None:
        peer = self._peers.get(run)
        if peer is not None:
            self._listener.send(peer.identity, message, images)

    def _refuse(
        self, identity: bytes, message: m.RunMessage | m.Hello, kind: m.RefusalKind, text: str, job: str | None = None
    ) -> None:
        incarnation = self._identity.incarnation
        self._listener.send(
            identity, m.Refused(run=message.run, incarnation=incarnation, kind=kind, message=text, job=job)
        )

    def _turn_away(self, identity: bytes, message: m.RunMessage | m.Hello, kind: m.RefusalKind, text: str) -> None:
        """Refuse one that is no peer."""
        self._strangers.dropped(f"refused what comes from nobody that is known here ({kind})", type(message).__name__)
        if self._strangers.is_to_be_told(identity, kind, time.monotonic()):
            self._refuse(identity, message, kind, text)

    def _beat(self, run: str) -> bool:
        """Send a heartbeat; False if it did not go out."""
        peer = self._peers[run]
        peer.beat = time.monotonic()
        message = m.Heartbeat(run=run, incarnation=self._identity.incarnation, state=self._state())
        return self._listener.send(peer.identity, message)

    def _tell_launcher(self) -> None:
        # Deaths are counted from the last life that got anything done: the launcher should hear of it before the next
        # job can end this one.
        if LAUNCHER in self._peers:
            self._beat(LAUNCHER)

    def _look_after_peers(self) -> None:
        now = time.monotonic()
        self._look_after_claims(now)
        shortest = len(self._peers) / _BEATS_PER_SECOND
        for run, peer in tuple(self._peers.items()):
            if now - peer.heard > peer.dead_after_seconds:
                self._give_up(run, f"was not heard for {now - peer.heard:.1f} s")
            elif now - peer.beat >= max(peer.heartbeat_seconds, shortest) and not self._beat(run):
                # It is gone, or has not read for so long that it has lost messages: what it has here is no longer
                # what it believes to have.
                self._give_up(run, "can't be reached")

    def _give_up(self, run: str, why: str) -> None:
        if run == LAUNCHER:
            return  # the socket that joins them for life tells of its end
        if self._peers[run].worked:
            log.warning("run %.100r %s: dropped", run, why)
        else:
            self._strangers.dropped("dropped a run that never had a job here", f"{run!r:.100} {why}")
        self._drop(run)

    def _drop(self, run: str) -> None:
        self._peers.pop(run, None)
        self._bench.act(self._jobs.drop(run))

    def _state(self) -> m.WorkerState:
        status, running, activity = self._status, self._jobs.running, self._bench.activity
        return m.WorkerState(
            phase=status.phase,
            residency=status.residency,
            model=status.model,
            error=status.error,
            stale=self._holder.is_stale(),
            running=running.job if running else None,
            step=activity.step,
            steps=activity.steps,
            progress=activity.progress,
            done=activity.done,
            epoch=status.epoch,
            runs=sum(run != LAUNCHER for run in self._peers),
        )

    def _write_card(self) -> None:
        model = self._status.model
        card = WorkerCard(
            worker_id=self._identity.worker_id,
            role=self._identity.role,
            incarnation=self._identity.incarnation,
            endpoint=self._listener.endpoint,
            pid=os.getpid(),
            pid_create_time=self._created,
            device=self._identity.device,
            model=ModelCard(type=model.spec.type, name=model.spec.name, fingerprint=model.fingerprint)
            if model
            else None,
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            started=self._started,
        )
        write_card(self._folder / f"{self._identity.worker_id}.json", card)
