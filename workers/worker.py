"""A worker process: one device, one model, any number of runs.

The main thread owns the socket and answers at once, whatever the device is doing. The device thread runs the model,
while codec threads decode the next image and encode the last one. ``workers.jobs`` decides what is next. Heavy imports
happen on the device thread, when the worker can already answer messages.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer
from protocol.gate import Gate
from protocol.mailbox import Mailbox
from protocol.pool import ModelCard, WorkerCard, write_card
from protocol.processes import create_time
from protocol.sockets import Listener
from workers import jobs as j
from workers.device import Call, Device, Outcome
from workers.holder import ModelHolder
from workers.interface import WorkerContext
from workers.payloads import sendable
from workers.peers import Peers, WorkerIdentity
from workers.ties import Tie
from workers.workbench import Workbench

log = logging.getLogger("warmbench.worker")

MAX_JOBS = 4096
"""The most jobs of one run. The scheduler sends an editor two rounds of at most 1000; a ``Welcome`` can list 8192."""

EXIT_BROKEN_DEVICE = 70
"""The exit code of a worker whose device is broken (EX_SOFTWARE of sysexits.h)."""

_DELIVERY_SECONDS = 5.0
"""How long a worker that has to end waits for the acknowledgement of its results."""


@dataclass
class _ModelState:
    """What heartbeats report, beside the workbench's activity."""

    phase: m.Phase = "starting"
    residency: m.Residency = "disk"
    model: m.LoadedModel | None = None
    error: str | None = None
    epoch: int = 0


class Worker:
    """The loop of a worker process."""

    def __init__(
        self,
        identity: WorkerIdentity,
        context: zmq.Context[zmq.Socket[bytes]],
        listener: Listener,
        folder: Path,
        tie: Tie,
        gate: Gate | None = None,
    ) -> None:
        """``folder`` is for its card and logs. ``gate`` admits connections over TCP: the launcher's now, and runs when
        the launcher says so. The worker closes all of them.
        """
        self._identity = identity
        self._folder = folder
        self._tie = tie
        self._gate = gate
        self._started = time.time()
        self._created = create_time(os.getpid())
        self._context = context
        self._listener = listener
        self._model_state = _ModelState()
        self._mailbox = Mailbox()
        self._device = Device(lambda: self._mailbox.post(self._bench.take_outcomes), self._post_broken)
        # Over TCP, each worker has a folder of its own.
        pool = folder.name if gate is None else ",".join(sorted(gate.allowed))
        outdated = partial(self._post_broken, by_a_job=False)
        offered = WorkerContext(identity.worker_id, folder, broken=self._post_broken, pool=pool, outdated=outdated)
        self._holder = ModelHolder(identity.local_device, self._device.watchdog, offered)
        self._bench = Workbench(self._mailbox, self._device, self._holder, self._send, self._on_first_done)
        # Over TCP, nobody but the holder of the launcher's key may speak as the launcher.
        self._launcher_keys = gate.allowed if gate is not None else None
        self._peers = Peers(self._listener, identity, self._bench, self.state, self._launcher_keys)
        self._jobs = self._bench.jobs
        self._moving = 0
        self._ending = False
        self._end_by: float | None = None
        self._broken: str | None = None
        self._broken_by_a_job = False

    # -- the loop

    def run(self) -> int:
        """Work until stopped, until the launcher is gone, or until the device is broken; return the exit code."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._mailbox.post(self._end))
        self._mailbox.wake_on_signals()
        self._write_card()
        lost = False
        while not self._is_over():
            poller = zmq.Poller()
            poller.register(self._listener.socket, zmq.POLLIN)
            poller.register(self._mailbox.fileno(), select.POLLIN)
            self._tie.register(poller)
            if self._gate is not None:
                self._gate.keep_open()
            ready = dict(poller.poll(self._wait_ms()))
            reason = self._tie.update(ready)
            if reason is not None:
                log.warning("%s: ending", reason)
                break
            if self._tie.dismissed and not self._ending:
                self._end()
            if lost != self._tie.lost:
                lost = self._tie.lost
                self._bench.act(self._jobs.set_usable(self._usable))
            self._bench.catch_up()
            self._mailbox.run()
            self._peers.strangers.read(self._listener, self._handle)
            self._peers.maintain()
            self._bench.line_up()
        if not self._broken_by_a_job:
            self._peers.say_goodbye(sendable(self._broken or ""))
        if self._holder.has_to_close:
            self._holder.close()
        self._tie.say_goodbye(self._broken)
        self._listener.close()
        self._tie.close()
        if self._gate is not None:
            self._gate.close()
        self._context.term()
        return 0 if self._broken is None else EXIT_BROKEN_DEVICE

    def _is_over(self) -> bool:
        """Whether the worker has to end, its device is idle, and its results are acknowledged or nobody takes them."""
        if not self._ending or self._jobs.running is not None:
            return False
        self._end_by = self._end_by or time.monotonic() + _DELIVERY_SECONDS
        return not self._jobs.outstanding or time.monotonic() > self._end_by

    def _wait_ms(self) -> int:
        return max(10, int(self._peers.shortest_heartbeat * 500))

    def _end(self) -> None:
        self._ending = True
        self._jobs.set_usable(False)

    def _post_broken(self, reason: str, *, by_a_job: bool = True) -> None:
        self._mailbox.post(lambda: self._on_broken(reason, by_a_job=by_a_job))

    def _on_broken(self, reason: str, *, by_a_job: bool) -> None:
        """Deliver what is finished, then end. No goodbye tells the run that the device's job may be the cause."""
        self._broken, self._broken_by_a_job = reason, by_a_job
        self._end()
        self._bench.act(self._jobs.lose_device())

    # -- messages in

    def _handle(self, identity: bytes, message: m.AnyMessage, images: list[Buffer]) -> None:
        if isinstance(message, m.Hello):
            self._peers.on_hello(identity, message)
            return
        peer = self._peers.sender(identity, message)
        if peer is None:
            return
        match message:
            case m.Edit() | m.Score():
                peer.had_jobs = self._on_job(identity, message, images) or peer.had_jobs
            case m.Release():
                self._bench.act(self._jobs.release(message.run, message.round))
            case m.Ack():
                self._bench.act(self._jobs.acknowledged(j.JobKey(message.run, message.job)))
            case m.Cancel():
                self._bench.act(self._jobs.cancel(message.run, message.jobs))
            case m.Load() | m.Place() if message.epoch < self._model_state.epoch:
                self._peers.refuse(identity, message, "epoch", f"it is epoch {self._model_state.epoch} now")
            case m.Load() if message.run != m.LAUNCHER and message.spec.params.get("server"):
                # It is a program: the launcher, which knows who may reach the pool, alone chooses it.
                self._peers.refuse(identity, message, "invalid", "the launcher alone has a worker start a server")
            case m.Load():
                self._on_load(message)
            case m.Place():
                self._on_place(message)
            case m.Goodbye():
                self._peers.drop(message.run)
            case m.Allow() if message.run == m.LAUNCHER and self._gate is not None and self._launcher_keys is not None:
                self._gate.allowed = frozenset(message.keys) | self._launcher_keys
            case m.Heartbeat():
                pass
            case _:
                self._peers.refuse(identity, message, "invalid", f"{type(message).__name__} is not a worker's message")

    def _on_job(self, identity: bytes, message: m.Edit | m.Score, images: list[Buffer]) -> bool:
        """Accept the job; False if it is refused."""
        role = "editor" if isinstance(message, m.Edit) else "reward"
        if self._identity.role != role:
            text = f"{self._identity.worker_id} is no {role}"
            self._peers.refuse(identity, message, "invalid", text, message.job)
        elif message.epoch < self._model_state.epoch:
            text = f"epoch {message.epoch} is over, it is {self._model_state.epoch} now"
            self._peers.refuse(identity, message, "epoch", text, message.job)
        elif self._model_state.phase == "failed":
            text = self._model_state.error or "the model failed to load"
            self._peers.refuse(identity, message, "not_ready", text, message.job)
        elif sum(map(len, self._jobs.unfinished(message.run))) >= MAX_JOBS:
            text = f"this run has {MAX_JOBS} jobs here, which is the limit"
            self._peers.refuse(identity, message, "invalid", text, message.job)
        else:
            self._model_state.epoch = message.epoch
            self._bench.add(message, images)
            return True
        return False

    def _on_load(self, message: m.Load) -> None:
        self._bench.job_timeout = message.job_timeout_seconds
        self._begin_move(message.epoch)
        # From now on, what is reported is about this load.
        self._model_state.error = None
        self._enter("waiting")
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
                self._bench.refuse_waiting("not_ready", self._model_state.error or "the model failed to load")
            else:
                self._model_state.residency = message.residency
            self._write_card()
            self._end_move("failed" if outcome.error else "ready")

        self._device.submit(Call(loaded, load, message.load_timeout_seconds))

    def _on_place(self, message: m.Place) -> None:
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
        self._model_state.epoch = epoch
        self._moving += 1
        self._jobs.set_usable(False)
        # Jobs of an earlier lease must not run on the model of the new one.
        self._bench.refuse_waiting("epoch", f"it is epoch {epoch} now", before_epoch=epoch)

    def _end_move(self, phase: m.Phase) -> None:
        self._moving -= 1
        self._enter(phase)
        self._bench.act(self._jobs.set_slots(self._holder.slots))
        self._bench.act(self._jobs.set_usable(self._usable))

    @property
    def _usable(self) -> bool:
        """Whether jobs may start: the model is in place, and the launcher is heard."""
        status = self._model_state
        in_place = self._moving == 0 and status.phase == "ready" and status.residency == "device"
        return in_place and not self._ending and not self._tie.lost

    def _enter(self, phase: m.Phase) -> None:
        self._model_state.phase = phase
        for run in self._peers:
            self._peers.send_heartbeat(run)

    # -- what others learn of the worker

    def _send(self, run: str, message: m.Message, images: Sequence[Buffer]) -> None:
        self._peers.send(run, message, images)

    def _on_first_done(self) -> None:
        """Deaths are counted from the last life that finished a job: the launcher should hear of this life's first one
        before the next job can kill the worker.
        """
        self._peers.report_to_launcher()

    def state(self) -> m.WorkerState:
        """What heartbeats report."""
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
        held = ModelCard(type=model.spec.type, name=model.spec.name, fingerprint=model.fingerprint) if model else None
        card = WorkerCard(
            worker_id=self._identity.worker_id,
            role=self._identity.role,
            incarnation=self._identity.incarnation,
            endpoint=self._listener.endpoint,
            pid=os.getpid(),
            pid_create_time=self._created,
            device=self._identity.device,
            model=held,
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            started=self._started,
            visible_gpu=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        )
        write_card(self._folder / f"{self._identity.worker_id}.json", card)
