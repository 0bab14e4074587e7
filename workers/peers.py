"""The runs that are connected to a worker, and its launcher.

A run is bound to its connection: another connection that uses its name can neither read its results nor cancel its
jobs. A peer that does not read, or is silent for too long, is dropped with its jobs, and has to say Hello again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer
from protocol.sockets import Listener
from workers.strangers import Strangers
from workers.workbench import Workbench

log = logging.getLogger("warmbench.worker")

MAX_RUNS = 256

_SHORTEST_HEARTBEAT = 0.01
_BEATS_PER_SECOND = 500
"""The most heartbeats to all runs together."""

_CLAIM_SECONDS = 2.0
"""How long a second connection of a run waits for the first one to turn out to be closed."""


@dataclass(frozen=True)
class WorkerIdentity:
    """What names a worker process, and where it works."""

    worker_id: str
    role: m.Role
    device: str
    local_device: str
    incarnation: str


@dataclass
class Peer:
    """A run that has said Hello. Times are those of the monotonic clock; ``had_jobs``: it has sent a job.

    ``key`` is the public key of its connection over TCP.
    """

    identity: bytes
    last_heard: float
    heartbeat_seconds: float
    dead_after_seconds: float
    last_heartbeat: float = 0.0
    had_jobs: bool = False
    key: str | None = None


@dataclass(frozen=True)
class _Claim:
    """A Hello for a run that is already connected, on another connection."""

    identity: bytes
    hello: m.Hello
    until: float


class Peers:
    """All peers, by run."""

    def __init__(
        self,
        listener: Listener,
        identity: WorkerIdentity,
        bench: Workbench,
        state: Callable[[], m.WorkerState],
        launcher_keys: Collection[str] | None = None,
    ) -> None:
        """``state`` returns the worker's state, for heartbeats. ``launcher_keys``: with one of these alone a connection
        may be the launcher's; None where the socket admits only this user.
        """
        self._launcher_keys = launcher_keys
        self._listener = listener
        self._identity = identity
        self._bench = bench
        self._state = state
        self._peers: dict[str, Peer] = {}
        self._claims: dict[str, _Claim] = {}
        self.strangers = Strangers(log)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._peers))

    @property
    def runs(self) -> int:
        """The number of connected runs."""
        return sum(run != m.LAUNCHER for run in self._peers)

    @property
    def shortest_heartbeat(self) -> float:
        """The shortest interval, in seconds, at which a peer expects heartbeats; at most 1."""
        return min((1.0, *(peer.heartbeat_seconds for peer in self._peers.values())))

    def sender(self, identity: bytes, message: m.RunMessage) -> Peer | None:
        """The peer that sent this; None, and a refusal, if it has not said Hello to this incarnation."""
        peer = self._peers.get(message.run)
        if peer is None or peer.identity != identity or message.incarnation != self._identity.incarnation:
            kind: m.RefusalKind = "unknown_run" if message.incarnation == self._identity.incarnation else "incarnation"
            self._refuse_stranger(identity, message, kind, "say Hello first, and to this incarnation")
            return None
        peer.last_heard = time.monotonic()
        return peer

    # -- coming

    def on_hello(self, identity: bytes, hello: m.Hello) -> None:
        """A run said Hello, for the first time or again."""
        refusal = self._reason_to_refuse(hello)
        now = time.monotonic()
        earlier = self._peers.get(hello.run)
        if refusal is not None:
            self._refuse_stranger(identity, hello, *refusal)
            return
        key = self._listener.sender_key
        again = earlier is not None and (earlier.identity == identity or earlier.key == key is not None)
        if earlier is not None and not again and self._is_connected(earlier, hello.run):
            self._claims[hello.run] = _Claim(identity, hello, now + _CLAIM_SECONDS)
            return
        if earlier is None and not self._make_room():
            text = f"{MAX_RUNS} runs have jobs on this worker, which is the limit"
            self._refuse_stranger(identity, hello, "invalid", text)
            return
        heartbeat = max(hello.heartbeat_seconds, _SHORTEST_HEARTBEAT)
        had_jobs = earlier is not None and earlier.had_jobs
        self._peers[hello.run] = Peer(identity, now, heartbeat, hello.dead_after_seconds, had_jobs=had_jobs, key=key)
        resend = self._bench.jobs.attach(hello.run)
        queued, running, unacknowledged = self._bench.jobs.unfinished(hello.run)
        welcome = m.Welcome(
            run=hello.run,
            incarnation=self._identity.incarnation,
            worker_id=self._identity.worker_id,
            role=self._identity.role,
            device=self._identity.device,
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            state=self._state(),
            now=time.time(),
            queued=queued,
            running=running,
            unacknowledged=unacknowledged,
        )
        self.send(hello.run, welcome)
        self._bench.act(resend)

    def _reason_to_refuse(self, hello: m.Hello) -> tuple[m.RefusalKind, str] | None:
        if hello.protocol_version != PROTOCOL_VERSION:
            return "protocol_version", f"this worker speaks protocol {PROTOCOL_VERSION}, not {hello.protocol_version}"
        if hello.incarnation != self._identity.incarnation:
            return "incarnation", f"this is incarnation {self._identity.incarnation}"
        keys = self._launcher_keys
        if hello.run == m.LAUNCHER and keys is not None and self._listener.sender_key not in keys:
            return "invalid", "only the launcher may use its name"
        model = self._state().model
        if hello.fingerprint and model and hello.fingerprint != model.fingerprint:
            return "fingerprint", f"this worker holds a model with fingerprint {model.fingerprint}"
        return None

    def _is_connected(self, peer: Peer, run: str) -> bool:
        """Whether the connection is open: ZeroMQ reports that with every send."""
        return self._listener.send(peer.identity, m.Heartbeat(run=run, incarnation=self._identity.incarnation))

    def _make_room(self) -> bool:
        """Make room for one more run. At the limit, the run without jobs that was silent the longest is dropped.

        That run may say Hello again, and is told so at its next message.
        """
        if len(self._peers) < MAX_RUNS:
            return True
        idle = [run for run in self._peers if run != m.LAUNCHER and not any(self._bench.jobs.unfinished(run))]
        if idle:
            longest = min(idle, key=lambda run: self._peers[run].last_heard)
            self.strangers.record_drop("dropped a run to make room for another one", repr(longest)[:100])
            self.drop(longest)
        return bool(idle)

    # -- staying and going

    def maintain(self) -> None:
        """Send the heartbeats that are due, and drop peers that are gone."""
        now = time.monotonic()
        self._resolve_claims(now)
        shortest = len(self._peers) / _BEATS_PER_SECOND
        for run, peer in tuple(self._peers.items()):
            if now - peer.last_heard > peer.dead_after_seconds:
                self._drop_silent(run, f"was not heard for {now - peer.last_heard:.1f} s")
            elif now - peer.last_heartbeat >= max(peer.heartbeat_seconds, shortest) and not self.send_heartbeat(run):
                # It is gone, or has not read for so long that messages to it were lost. Then its own view of its jobs
                # may be wrong.
                self._drop_silent(run, "cannot be reached")

    def _resolve_claims(self, now: float) -> None:
        for run, claim in tuple(self._claims.items()):
            peer = self._peers.get(run)
            if peer is None or not self._is_connected(peer, run):
                del self._claims[run]
                self.on_hello(claim.identity, claim.hello)
            elif now > claim.until:
                del self._claims[run]
                self.strangers.record_drop("refused a second connection of a run", repr(run)[:100])
                self._refuse_stranger(claim.identity, claim.hello, "unknown_run", "this run has another connection")

    def _drop_silent(self, run: str, why: str) -> None:
        if run == m.LAUNCHER:
            return  # the life socket tells of the launcher's end
        if self._peers[run].had_jobs:
            log.warning("run %.100r %s: dropped", run, why)
        else:
            self.strangers.record_drop("dropped a run that never had a job", f"{run!r:.100} {why}")
        self.drop(run)

    def drop(self, run: str) -> None:
        """The run is gone, or has to say Hello again: drop it with its jobs."""
        dropped = self._peers.pop(run, None)
        self._bench.act(self._bench.jobs.drop(run))
        if dropped is not None and dropped.had_jobs:
            self.report_to_launcher()

    # -- messages out

    def send(self, run: str, message: m.Message, images: Sequence[Buffer] = ()) -> None:
        """Send to a run, if it is connected."""
        peer = self._peers.get(run)
        if peer is not None:
            self._listener.send(peer.identity, message, images)

    def send_heartbeat(self, run: str) -> bool:
        """Send a heartbeat; False if it could not be sent."""
        peer = self._peers[run]
        peer.last_heartbeat = time.monotonic()
        message = m.Heartbeat(run=run, incarnation=self._identity.incarnation, state=self._state())
        return self._listener.send(peer.identity, message)

    def say_goodbye(self, reason: str) -> None:
        """Tell all that the worker ends by itself, and why if that is not what they asked for."""
        for run in self._peers:
            self.send(run, m.Goodbye(run=run, incarnation=self._identity.incarnation, reason=reason))

    def report_to_launcher(self) -> None:
        """Send the worker's state to the launcher at once."""
        if m.LAUNCHER in self._peers:
            self.send_heartbeat(m.LAUNCHER)

    def refuse(
        self, identity: bytes, message: m.RunMessage | m.Hello, kind: m.RefusalKind, text: str, job: str | None = None
    ) -> None:
        """Refuse a message."""
        incarnation = self._identity.incarnation
        refused = m.Refused(run=message.run, incarnation=incarnation, kind=kind, message=text, job=job)
        self._listener.send(identity, refused)

    def _refuse_stranger(
        self, identity: bytes, message: m.RunMessage | m.Hello, kind: m.RefusalKind, text: str
    ) -> None:
        """Refuse a message of a connection that is no peer."""
        self.strangers.record_drop(f"refused a message of an unknown run ({kind})", type(message).__name__)
        if self.strangers.should_answer(identity, kind, time.monotonic()):
            self.refuse(identity, message, kind, text)
