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
from workers.device import Call, Device, Outcome
from workers.holder import ModelHolder
from workers.payloads import sendable
from workers.peers import Peers, WorkerIdentity
from workers.workbench import Workbench

log = logging.getLogger("warmbench.worker")

_MESSAGES_PER_TURN = 64
_READING_SECONDS = 0.05
"""How long a turn reads at most: the largest message that is none takes a tenth of a second to refuse."""

MAX_JOBS = 4096
"""Of one run. The scheduler gives an editor two rounds, of at most 1000 each; a ``Welcome`` can list 8192."""

_DELIVERY_SECONDS = 5.0
"""How long a worker that is told to end stays for the acknowledgement of what it has finished."""


@dataclass
class _ModelState:
    """What heartbeats tell, beside the workbench's activity."""

    phase: m.Phase = "starting"
    residency: m.Residency = "disk"
    model: m.LoadedModel | None = None
    error: str | None = None
    epoch: int = 0


class Worker:
    """The loop of a worker process."""

    def __init__(self, identity: WorkerIdentity, endpoint: str, folder: Path, parent: socket.socket) -> None:
        self._identity = identity
        self._folder = folder
        self._parent = parent
        self._started = time.time()
        self._created = create_time(os.getpid())
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._listener = Listener(self._context, endpoint)
        self._peers = Peers(self._listener, identity, self)
        self._model_state = _ModelState()
        self._mailbox = Mailbox()
        self._device = Device(lambda: self._mailbox.post(self._bench.take_outcomes))
        self._holder = ModelHolder(identity.local_device, folder, self._device.watchdog)
        # Deaths are counted from the last life that got anything done: the launcher should hear of it before the next
        # job can end this one.
        tell = self._peers.tell_launcher
        self._bench = Workbench(self._mailbox, self._device, self._holder, self._peers.send, tell)
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
            self._bench.catch_up()
            self._mailbox.run()
            self._read_messages()
            self._peers.look_after()
            self._bench.line_up()
        for run in self._peers:
            self._peers.send(run, m.Goodbye(run=run, incarnation=self._identity.incarnation, reason="the worker ends"))
        self._listener.close()
        self._context.term()

    def _is_over(self) -> bool:
        """Told to end, done on the device, and what was done is safe, or nobody takes it."""
        if not self._ending or self._jobs.running is not None:
            return False
        self._end_by = self._end_by or time.monotonic() + _DELIVERY_SECONDS
        return not self._jobs.outstanding or time.monotonic() > self._end_by

    def _wait_ms(self) -> int:
        return max(10, int(self._peers.shortest_heartbeat * 500))

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
                self._peers.strangers.dropped("dropped what is no message", str(error))
            else:
                if received is None:
                    return
                self._handle(*received)
            if time.monotonic() > end:
                return

    def _handle(self, identity: bytes, message: m.AnyMessage, images: list[Buffer]) -> None:
        if isinstance(message, m.Hello):
            self._peers.on_hello(identity, message)
            return
        peer = self._peers.of(identity, message)
        if peer is None:
            return
        match message:
            case m.Edit() | m.Score():
                peer.worked = self._on_job(identity, message, images) or peer.worked
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
                self._peers.drop(message.run)
            case m.Heartbeat():
                pass
            case _:
                self._peers.refuse(identity, message, "invalid", f"{type(message).__name__} is nothing for a worker")

    def _on_job(self, identity: bytes, message: m.Edit | m.Score, images: list[Buffer]) -> bool:
        """Take the job; False if it is refused."""
        wanted = "editor" if isinstance(message, m.Edit) else "reward"
        if self._identity.role != wanted:
            text = f"{self._identity.worker_id} is no {wanted}"
            self._peers.refuse(identity, message, "invalid", text, message.job)
        elif message.epoch < self._model_state.epoch:
            text = f"epoch {message.epoch} is over, it is {self._model_state.epoch} now"
            self._peers.refuse(identity, message, "epoch", text, message.job)
        elif self._model_state.phase == "failed":
            self._peers.refuse(
                identity, message, "not_ready", self._model_state.error or "the model failed to load", message.job
            )
        elif sum(map(len, self._jobs.unfinished(message.run))) >= MAX_JOBS:
            self._peers.refuse(
                identity, message, "invalid", f"{MAX_JOBS} jobs of this run are here already", message.job
            )
        else:
            self._model_state.epoch = message.epoch
            self._bench.add(message, images)
            return True
        return False

    def _on_load(self, identity: bytes, message: m.Load) -> None:
        if message.epoch < self._model_state.epoch:
            self._peers.refuse(identity, message, "epoch", f"it is epoch {self._model_state.epoch} now")
            return
        self._model_state.epoch = message.epoch
        self._bench.job_timeout = message.job_timeout_seconds
        self._begin_move(message.epoch)
        self._bench.codecs.warm_up(self._identity.role)

        def enter(phase: m.Phase) -> None:
            self._mailbox.post(lambda: self._enter(phase))

        def load() -> m.LoadedModel:
            timeout = message.load_timeout_seconds
            return self._holder.load(
                message.spec, message.residency, serial=message.serial, timeout=timeout, enter=enter
            )

        def loaded(outcome: Outcome) -> None:
            self._model_state.model = outcome.value
            self._model_state.error = sendable(outcome.error) if outcome.error else None
            if outcome.error:
                log.error("the model was not loaded: %s", outcome.error)
                self._bench.turn_away("not_ready", self._model_state.error or "the model failed to load")
            else:
                self._model_state.residency = message.residency
            self._write_card()
            self._end_move("failed" if outcome.error else "ready")

        self._device.submit(Call(loaded, load, message.load_timeout_seconds))

    def _on_place(self, identity: bytes, message: m.Place) -> None:
        if message.epoch < self._model_state.epoch:
            self._peers.refuse(identity, message, "epoch", f"it is epoch {self._model_state.epoch} now")
            return
        self._model_state.epoch = message.epoch
        self._begin_move(message.epoch)

        def placed(outcome: Outcome) -> None:
            if outcome.error is None:
                self._model_state.residency = message.residency
            answer = m.Placed(
                run=message.run,
                incarnation=message.incarnation,
                epoch=message.epoch,
                residency=message.residency,
                seconds=max(0.0, outcome.finished - outcome.started),
                error=sendable(outcome.error) if outcome.error else None,
            )
            self._end_move("ready" if self._model_state.model is not None else self._model_state.phase)
            self._peers.send(message.run, answer)

        self._device.submit(Call(placed, lambda: self._holder.place(message.residency), self._bench.job_timeout))

    def _begin_move(self, epoch: int) -> None:
        self._moving += 1
        self._jobs.usable(False)
        # What was given under an earlier lease must not run on what the new one has put here.
        self._bench.turn_away("epoch", f"it is epoch {epoch} now", before_epoch=epoch)

    def _end_move(self, phase: m.Phase) -> None:
        self._moving -= 1
        self._enter(phase)
        usable = self._moving == 0 and phase == "ready" and self._model_state.residency == "device"
        self._bench.act(self._jobs.usable(usable and not self._ending))

    def _enter(self, phase: m.Phase) -> None:
        self._model_state.phase = phase
        for run in self._peers:
            self._peers.beat(run)

    # -- what its peers need of it

    def attach(self, run: str) -> list[j.JobAction]:
        """A run has said Hello."""
        return self._jobs.attach(run)

    def unfinished(self, run: str) -> tuple[list[str], list[str], list[str]]:
        """What an attached run has here: queued, running, unacknowledged."""
        return self._jobs.unfinished(run)

    def act(self, actions: list[j.JobAction]) -> None:
        """Do this."""
        self._bench.act(actions)

    def drop(self, run: str) -> None:
        """The run is gone."""
        self._bench.act(self._jobs.drop(run))

    def state(self) -> m.WorkerState:
        """How it stands, for heartbeats."""
        status, running, activity = self._model_state, self._jobs.running, self._bench.activity
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
            runs=self._peers.runs,
        )

    def _write_card(self) -> None:
        model = self._model_state.model
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
