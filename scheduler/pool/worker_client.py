"""A run's connection to one worker, a new one for each of the worker's lives."""

from __future__ import annotations

import time
from collections.abc import Sequence

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer
from protocol.sockets import Link
from scheduler.pool.clocks import Offset, better, measured
from scheduler.pool.residency import Placement

_LAUNCHER_FIRST = 1.5
"""How much longer than its launcher a run waits for a worker over TCP."""
_AGAIN_SECONDS = 5.0
"""A worker over TCP that does not answer is connected to anew, each time after this."""


class WorkerClient:
    """The connection to one life of a worker. ``welcome``: it has answered Hello."""

    def __init__(
        self,
        link: Link,
        status: m.WorkerStatus,
        *,
        run: str,
        heartbeat_seconds: float,
        dead_after_seconds: float,
        again_seconds: float = _AGAIN_SECONDS,
    ) -> None:
        self.name = status.worker_id
        self.role: m.Role = status.role
        self.device = status.device
        self.pid = status.pid
        self.host = status.host
        self.incarnation = status.incarnation
        self.welcome = False
        self.joined = False
        self.residency: m.Residency = "disk"
        self.moving_to: m.Residency | None = None
        self.read_early = False
        self.model: m.LoadedModel | None = None
        self.state: m.WorkerState | None = None
        self.link = link
        self._run = run
        self._heartbeat_seconds = heartbeat_seconds
        self._dead_after_seconds = dead_after_seconds
        self._again_seconds = again_seconds
        # Over TCP, the launcher notices a death by the same silence: its word, that the worker died of its work, is
        # worth more than the silence alone, so it gets the time to come.
        self.silent_after_seconds = dead_after_seconds * (_LAUNCHER_FIRST if status.server_key else 1.0)
        self._heard = self._connected_at = time.monotonic()
        self._beat = 0.0
        self._asked_at = 0.0
        self._offset: Offset | None = None
        self.hello()

    def hello(self) -> None:
        """Introduce the run, for the first time or after a silence; what was under way before is forgotten."""
        self.welcome = False
        self.moving_to = None
        self._asked_at, self._hello_at = time.time(), time.monotonic()
        self.send(
            m.Hello(
                run=self._run,
                incarnation=self.incarnation,
                protocol_version=PROTOCOL_VERSION,
                version=VERSION,
                heartbeat_seconds=self._heartbeat_seconds,
                dead_after_seconds=self._dead_after_seconds,
            )
        )

    def send(self, message: m.Message, images: Sequence[Buffer] = ()) -> None:
        """Send to the worker. What gets lost is repeated when the worker is heard again or has died."""
        self.link.send(message, images)

    def acknowledge(self, job: str) -> None:
        """Tell the worker that it may forget the job's result."""
        self.send(m.Ack(run=self._run, incarnation=self.incarnation, job=job))

    def release(self, number: int) -> None:
        """Let the editor start its jobs of this round."""
        self.send(m.Release(run=self._run, incarnation=self.incarnation, round=number))

    def cancel(self, jobs: list[str] | None = None) -> None:
        """Take back those of these jobs (None: of all jobs) that have not started."""
        self.send(m.Cancel(run=self._run, incarnation=self.incarnation, jobs=jobs))

    def welcomed(self, now: float) -> None:
        """Note the answer to Hello, with the time of the worker's clock."""
        self.welcome = True
        self._offset = better(self._offset, measured(self._asked_at, time.time(), now))

    @property
    def offset(self) -> float:
        """What is added to the worker's times, in seconds."""
        return self._offset.seconds if self._offset is not None else 0.0

    def hello_again(self) -> None:
        """Repeat Hello, which a cut connection may have lost; now and then on a new connection, as the worker may have
        refused the last one because it did not know its key yet.
        """
        now = time.monotonic()
        if now - self._connected_at > self._again_seconds:
            self._connected_at = now
            self.link = self.link.again()
        self.hello()

    @property
    def unanswered(self) -> bool:
        """Whether its answer to Hello is overdue."""
        return not self.welcome and time.monotonic() - self._hello_at > self._dead_after_seconds / 2

    def heard(self, state: m.WorkerState | None) -> None:
        """Note that the worker was heard, and its state if it sent one."""
        self._heard = time.monotonic()
        if state is not None:
            self.state = state
            self.model = state.model or self.model
            if self.moving_to is None:
                self.residency = state.residency

    @property
    def silent(self) -> bool:
        """Whether it was not heard for too long."""
        return time.monotonic() - self._heard > self.silent_after_seconds

    def beat(self) -> None:
        """Send a heartbeat if one is due."""
        now = time.monotonic()
        if self.welcome and now - self._beat >= self._heartbeat_seconds:
            self._beat = now
            self.send(m.Heartbeat(run=self._run, incarnation=self.incarnation))

    def place(self, residency: m.Residency, epoch: int) -> None:
        """Have the weights moved; ``Placed`` answers."""
        self.moving_to = residency
        self.send(m.Place(run=self._run, incarnation=self.incarnation, epoch=epoch, residency=residency))

    def placed(self, message: m.Placed) -> None:
        """Note the end of a move."""
        self.moving_to = None
        if message.error is None:
            self.residency = message.residency

    @property
    def placement(self) -> Placement:
        """Where its weights are, and where they are moving."""
        return Placement(self.name, self.role, self.device, self.residency, self.moving_to)

    def leave(self, reason: str) -> None:
        """Say goodbye and close."""
        self.send(m.Goodbye(run=self._run, incarnation=self.incarnation, reason=reason))
        self.link.close()
