"""One worker as its launcher manages it over all of its lives: start, load, watch, restart, end."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.plan import PoolPlan, WorkerPlan
from protocol.pool import remove_traces
from protocol.sockets import Link
from workers.entrance import Entrance
from workers.placers.declaration import Order, PlacementError, Placer
from workers.spawn import log_path
from workers.supervision import StopRestarting, Supervision
from workers.worker_life import END_SECONDS, SILENT, Life, how_it_ended

log = logging.getLogger("warmbench.launcher")

_INTRODUCTION_SECONDS = 120.0
"""How long a process may take to introduce itself: imports from a slow disk take long."""


class ManagedWorker:
    """A worker of the pool. ``changed`` is set when its status has changed; the launcher resets it."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        pool: PoolPlan,
        plan: WorkerPlan,
        folder: Path,
        placer: Placer,
        entrance: Entrance,
    ) -> None:
        self.plan = plan
        self.incarnation = ""
        self.state: m.WorkerState | None = None
        self.changed = False
        self.joined_before = ""
        """The incarnation of the process that joined last, which may be heard again after it counted as dead."""
        self._context = context
        self._pool = pool
        self._folder = folder
        self._placer = placer
        self._entrance = entrance
        self._supervision = Supervision()
        self._life: Life | None = None
        self._pid, self._started = 0, 0.0
        self._restart_at: float | None = None
        self._exit_code: int | None = None
        self._reload_epoch = 0
        self._gave_up = self._stopping = self._now = self._start_anew = False
        self._awaited_until = 0.0

    @property
    def alive(self) -> bool:
        """Whether its process is running."""
        return self._life is not None

    @property
    def device(self) -> str:
        """Its device: that of its plan, or where it is, if that is elsewhere."""
        return self._life.device or self.plan.device if self._life is not None else self.plan.device

    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop when the process ends or sends a message."""
        if self._life is not None:
            self._life.register(poller)

    def start(self) -> None:
        """Start a process."""
        self.incarnation = uuid.uuid4().hex[:12]
        self._start_anew = False
        self.state, self._restart_at, self._exit_code = None, None, None
        self._started = time.time()
        self.changed = True
        arguments = self._entrance.arguments(self.plan, self.incarnation)
        try:
            placed = self._placer.start(
                Order(self.plan, self.incarnation, arguments, log_path(self._folder, self.plan.worker_id))
            )
        except PlacementError as error:
            log.error("%s could not be started: %s", self.plan.worker_id, error)
            self._gave_up, self._exit_code = True, 127
            self.state = m.WorkerState(phase="failed", error=str(error))
            return
        if placed is None:
            return  # whoever joins is it
        self._pid = placed.pid
        self._life = Life(placed, time.monotonic() + _INTRODUCTION_SECONDS, placed.pid)
        if placed.pid:
            log.info("%s started on %s (pid %d)", self.plan.worker_id, self.plan.device, placed.pid)

    def expect(self, incarnation: str, seconds: float) -> None:
        """Another launcher started it, and it may still be there: wait for it so long, then start it anew."""
        self.incarnation = incarnation
        self._restart_at = self._awaited_until = time.monotonic() + seconds

    @property
    def awaited(self) -> bool:
        """Whether it may still come back to this launcher."""
        return self._life is None and time.monotonic() < self._awaited_until

    @property
    def free(self) -> bool:
        """Whether a process that nobody has placed may become this worker."""
        return self._life is None and self._restart_at is None and not self._stopping and not self._gave_up

    def introduced(self, connection: socket.socket, pid: int, endpoint: str) -> None:
        """The process on this machine has introduced itself."""
        life = self._life
        if life is None:
            connection.close()
            return
        life.socket, life.pid, self._pid = connection, pid, pid
        life.link = Link(self._context, endpoint)
        self._say_hello(life)
        self._load(life)

    def joined(self, join: m.Join, dismiss: Callable[[], object]) -> None:
        """The process has introduced itself over TCP, or is heard again."""
        life = self._life
        if life is None:
            self.incarnation, self._restart_at, self._exit_code = join.incarnation, None, None
            adopted = self._placer.adopt(self.plan.worker_id, join.incarnation)
            life = self._life = Life(adopted, time.monotonic(), join.pid)
            self._started, self.state = time.time(), None
        life.heard_at, life.dismiss = time.monotonic(), dismiss
        self.joined_before = join.incarnation
        if life.link is not None:
            return
        life.pid, self._pid, life.server_key = join.pid, join.pid, join.server_key
        if self._placer.elsewhere:
            life.host, life.device = join.host, f"{join.host}:{join.device}"[:200]
        log.info("%s joined from %s (pid %d)", self.plan.worker_id, join.host, join.pid)
        life.link = Link(self._context, join.endpoint, self._entrance.pair, join.server_key)
        self._say_hello(life)
        self.allow(self._entrance.allowed)
        model = join.state.model
        if self._stopping:
            self._end(life)
        elif model is None or model.spec != self.plan.spec:
            self._load(life)

    def _say_hello(self, life: Life) -> None:
        if life.link is not None:
            life.link.send(
                m.Hello(
                    run=m.LAUNCHER,
                    incarnation=self.incarnation,
                    protocol_version=PROTOCOL_VERSION,
                    version=VERSION,
                    heartbeat_seconds=self._pool.heartbeat_seconds,
                    dead_after_seconds=86400.0,  # the tie tells of a death; silence alone never does
                )
            )

    def allow(self, keys: list[str]) -> None:
        """Let runs with these keys connect to it, if it is reached over TCP."""
        if self._life is not None and self._life.link is not None and self._life.server_key is not None:
            self._life.link.send(m.Allow(run=m.LAUNCHER, incarnation=self.incarnation, keys=keys))

    def said_goodbye(self, reason: str) -> None:
        """The process ends, for this reason if it is not empty."""
        if self._life is not None:
            self._life.last_words, self._life.has_left = reason or None, True

    def reload(self, spec: m.ModelSpec, epoch: int, command: list[str] | None = None) -> None:
        """Have it load this model, now and after each restart; with a ``command``, in a new process of that."""
        self.plan = msgspec.structs.replace(self.plan, spec=spec, command=command or self.plan.command)
        self._reload_epoch = epoch
        self.changed = True
        if self._life is not None:
            if self.state is not None:
                # Its last state is about the old model.
                self.state = msgspec.structs.replace(self.state, phase="waiting", model=None, error=None)
            if command is None:
                self._load(self._life)
            else:
                log.info("%s is started anew with %s", self.plan.worker_id, command[0])
                self._start_anew = True
                self._life.end()
        else:
            self.reset_deaths()

    def reset_deaths(self) -> None:
        """Forget its deaths: a new run may not cause them. A worker that was given up is started again."""
        self._supervision = Supervision()
        if self._gave_up and not self._stopping:
            self._gave_up = False
            self.start()

    def _load(self, life: Life) -> None:
        if life.link is None:
            return  # it has not introduced itself yet; then it will be sent
        life.link.send(
            m.Load(
                run=m.LAUNCHER,
                incarnation=self.incarnation,
                epoch=self._reload_epoch,
                spec=self.plan.spec,
                residency=self.plan.residency,
                serial=not self._pool.load_in_parallel,
                job_timeout_seconds=self._pool.job_timeout_seconds,
                load_timeout_seconds=self._pool.load_timeout_seconds,
            )
        )

    def update(self, away: float = 0.0) -> None:
        """Read its messages, notice its death, send heartbeats, kill it if it does not end, restart it when due.
        ``away``: the time for which nobody could be heard.
        """
        now = time.monotonic()
        life = self._life
        if life is None:
            if self._restart_at is not None and now >= self._restart_at and not self._stopping:
                self.start()
            return
        self._read(life)
        code = life.exit_code(self._pool.dead_after_seconds, self._pool.orphan_seconds, away)
        if code is not None:
            self._on_death(life, code)
        elif life.kill_at is not None and now > life.kill_at:
            log.warning("%s did not end: killed", self.plan.worker_id)
            life.kill()
            life.kill_at = now + END_SECONDS
        elif life.link is None and life.placed is not None and life.placed.waits_for is not None:
            life.introduction_deadline = now + _INTRODUCTION_SECONDS
        elif life.link is None and now > life.introduction_deadline:
            log.error("%s did not introduce itself within %g s: killed", self.plan.worker_id, _INTRODUCTION_SECONDS)
            life.kill()
            life.introduction_deadline = now + END_SECONDS
        elif life.link is not None and now - life.last_heartbeat > self._pool.heartbeat_seconds:
            life.last_heartbeat = now
            life.link.send(m.Heartbeat(run=m.LAUNCHER, incarnation=self.incarnation))

    def stop(self, *, now: bool) -> None:
        """End it: after its current job, or at once."""
        self._stopping, self._now = True, now
        if self._life is not None:
            self._end(self._life)

    def _end(self, life: Life) -> None:
        busy = self.state is not None and self.state.running is not None and not self._now
        life.stop(now=self._now, seconds=self._pool.job_timeout_seconds if busy else END_SECONDS)

    def clean_up(self) -> None:
        """The launcher ends: kill the process and remove its files."""
        if self._life is not None:
            self._life.kill()
            self._life.close()
        remove_traces(self._folder, self.plan.worker_id, self.incarnation)

    def status(self) -> m.WorkerStatus:
        """The worker's status, for clients."""
        link = self._life.link if self._life else None
        return m.WorkerStatus(
            worker_id=self.plan.worker_id,
            role=self.plan.role,
            device=self.device,
            pid=self._pid,
            alive=self.alive,
            spec=self.plan.spec,
            command=self.plan.command,
            incarnation=self.incarnation,
            endpoint=link.endpoint if link else None,
            exit_code=self._exit_code,
            gave_up=self._gave_up,
            log=self._log(),
            started=self._started,
            state=self.state,
            host=self._life.host if self._life else None,
            server_key=self._life.server_key if self._life else None,
            waits_for=self._waits_for(),
        )

    def _log(self) -> str:
        placed = self._life.placed if self._life is not None else None
        return (placed.log if placed is not None else None) or str(log_path(self._folder, self.plan.worker_id))

    def _waits_for(self) -> str | None:  # before there is a process
        if self._life is not None:
            return self._life.placed.waits_for if self._life.placed is not None else None
        return "a worker that joins" if self.free else None

    def _read(self, life: Life) -> None:
        while life.link is not None:
            try:
                received = life.link.receive()
            except ProtocolError as error:
                log.warning("%s sent an invalid message: %s", self.plan.worker_id, error)
                continue
            if received is None:
                return
            message = received[0]
            if isinstance(message, m.Welcome | m.Heartbeat) and message.state is not None:
                life.welcome = True
                self._record_state(message.state)
            elif isinstance(message, m.Refused) and message.kind == "unknown_run":
                self._say_hello(life)  # the connection was cut and made again
            elif isinstance(message, m.Refused):
                log.error("%s refused: %s", self.plan.worker_id, message.message)
                if not life.welcome:
                    # It will never load a model: no run should wait for it.
                    life.refusal = life.refusal or message.message
                    self._record_state(m.WorkerState(phase="failed", error=life.refusal, epoch=self._reload_epoch))

    def _record_state(self, state: m.WorkerState) -> None:
        if state.epoch < self._reload_epoch:
            return  # sent before it received the order to load another model
        before, self.state = self.state, state
        if before is None or (before.phase, before.residency) != (state.phase, state.residency):
            self.changed = True
            log.info("%s is %s", self.plan.worker_id, state.phase)

    def _on_death(self, life: Life, code: int) -> None:
        self._life, self._exit_code = None, code if code != SILENT else None
        reason = life.reason()
        if self.state is not None or reason is not None:
            self.state = msgspec.structs.replace(self.state or m.WorkerState(phase="failed"), error=reason)
        life.close()
        remove_traces(self._folder, self.plan.worker_id, self.incarnation)
        self.changed = True
        if self._start_anew and not self._stopping:
            self.start()
        elif not self._stopping:
            self._plan_restart(how_it_ended(code, reason))

    def _plan_restart(self, ended: str) -> None:
        if not self._placer.starts:
            log.warning("%s died (%s): another one may join in its place", self.plan.worker_id, ended)
            return
        decision = self._supervision.died(finished_a_pair=self.state is not None and self.state.done > 0)
        if isinstance(decision, StopRestarting):
            self._gave_up = True
            log.error("%s died (%s), %d times: not restarted", self.plan.worker_id, ended, decision.deaths)
        else:
            self._restart_at = time.monotonic() + decision.delay
            log.warning("%s died (%s): restart in %.1f s", self.plan.worker_id, ended, decision.delay)
