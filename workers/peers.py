"""The runs on the other side of a worker's socket, and its launcher: who is here, who is heard, and who has to go.

A run belongs to its connection: who only knows its name neither reads its results nor cancels its jobs. Who does not
read, or is not heard for too long, is dropped with all that it has here, and has to say Hello again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer
from protocol.sockets import Listener
from workers.jobs import JobAction
from workers.strangers import Strangers

log = logging.getLogger("warmbench.worker")

LAUNCHER = "launcher"
"""The run id under which the pool's launcher speaks; it never has jobs."""

MAX_RUNS = 256

_SHORTEST_HEARTBEAT = 0.01
_BEATS_PER_SECOND = 500
"""To all runs together."""

_CLAIM_SECONDS = 2.0
"""How long a second connection that speaks for a run may wait for the first one to turn out to be gone."""


@dataclass(frozen=True)
class WorkerIdentity:
    """Who a worker is."""

    worker_id: str
    role: m.Role
    device: str
    local_device: str
    incarnation: str


@dataclass
class Peer:
    """A run that has said Hello. Times are those of the monotonic clock; ``worked``: it has given work."""

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


class Host(Protocol):
    """The worker, as its peers need it."""

    def state(self) -> m.WorkerState:
        """How it stands, for heartbeats."""

    def attach(self, run: str) -> list[JobAction]:
        """A run has said Hello; what follows is to be done when it has been welcomed."""

    def unfinished(self, run: str) -> tuple[list[str], list[str], list[str]]:
        """What an attached run has here: queued, running, unacknowledged."""

    def act(self, actions: list[JobAction]) -> None:
        """Do this."""

    def drop(self, run: str) -> None:
        """The run is gone: what it has here goes with it."""


class Peers:
    """All of them, by run."""

    def __init__(self, listener: Listener, identity: WorkerIdentity, host: Host) -> None:
        self._listener = listener
        self._identity = identity
        self._host = host
        self._peers: dict[str, Peer] = {}
        self._claims: dict[str, _Claim] = {}
        self.strangers = Strangers(log)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._peers))

    @property
    def runs(self) -> int:
        """How many runs are here."""
        return sum(run != LAUNCHER for run in self._peers)

    @property
    def shortest_heartbeat(self) -> float:
        """Seconds until somebody may want a heartbeat, at most one."""
        return min((1.0, *(peer.heartbeat_seconds for peer in self._peers.values())))

    def of(self, identity: bytes, message: m.RunMessage) -> Peer | None:
        """The peer that has sent this; None, and it is turned away, if it is none of this worker's, in this life."""
        peer = self._peers.get(message.run)
        if peer is None or peer.identity != identity or message.incarnation != self._identity.incarnation:
            kind: m.RefusalKind = "unknown_run" if message.incarnation == self._identity.incarnation else "incarnation"
            self._turn_away(identity, message, kind, "say Hello first, and to this incarnation")
            return None
        peer.heard = time.monotonic()
        return peer

    # -- coming

    def on_hello(self, identity: bytes, hello: m.Hello) -> None:
        """A run introduces itself, for the first time or again."""
        refusal = self._why_not(hello)
        now = time.monotonic()
        earlier = self._peers.get(hello.run)
        if refusal is not None:
            self._turn_away(identity, hello, *refusal)
            return
        if earlier is not None and earlier.identity != identity and self._is_there(earlier, hello.run):
            self._claims[hello.run] = _Claim(identity, hello, now + _CLAIM_SECONDS)
            return
        if earlier is None and not self._make_room():
            text = f"{MAX_RUNS} runs have jobs here, and there is no room for more"
            self._turn_away(identity, hello, "invalid", text)
            return
        heartbeat = max(hello.heartbeat_seconds, _SHORTEST_HEARTBEAT)
        worked = earlier is not None and earlier.worked
        self._peers[hello.run] = Peer(identity, now, heartbeat, hello.dead_after_seconds, worked=worked)
        resend = self._host.attach(hello.run)
        queued, running, unacknowledged = self._host.unfinished(hello.run)
        welcome = m.Welcome(
            run=hello.run,
            incarnation=self._identity.incarnation,
            worker_id=self._identity.worker_id,
            role=self._identity.role,
            device=self._identity.device,
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            state=self._host.state(),
            queued=queued,
            running=running,
            unacknowledged=unacknowledged,
        )
        self.send(hello.run, welcome)
        self._host.act(resend)

    def _why_not(self, hello: m.Hello) -> tuple[m.RefusalKind, str] | None:
        if hello.protocol_version != PROTOCOL_VERSION:
            return "protocol_version", f"this worker speaks protocol {PROTOCOL_VERSION}, not {hello.protocol_version}"
        if hello.incarnation != self._identity.incarnation:
            return "incarnation", f"this is incarnation {self._identity.incarnation}"
        model = self._host.state().model
        if hello.fingerprint and model and hello.fingerprint != model.fingerprint:
            return "fingerprint", f"this worker holds a model with fingerprint {model.fingerprint}"
        return None

    def _is_there(self, peer: Peer, run: str) -> bool:
        """Whether its connection is: ZeroMQ tells it of whatever is sent."""
        return self._listener.send(peer.identity, m.Heartbeat(run=run, incarnation=self._identity.incarnation))

    def _make_room(self) -> bool:
        """Have room for one more run: where there are too many, who has no jobs and was silent the longest has to go.

        It may say Hello again, and is told so when it speaks.
        """
        if len(self._peers) < MAX_RUNS:
            return True
        idle = [run for run in self._peers if run != LAUNCHER and not any(self._host.unfinished(run))]
        if idle:
            longest = min(idle, key=lambda run: self._peers[run].heard)
            self.strangers.dropped("dropped a run to have room for another one", repr(longest)[:100])
            self.drop(longest)
        return bool(idle)

    # -- staying and going

    def look_after(self) -> None:
        """Send the heartbeats that are due, and drop who is not there any more."""
        now = time.monotonic()
        self._look_after_claims(now)
        shortest = len(self._peers) / _BEATS_PER_SECOND
        for run, peer in tuple(self._peers.items()):
            if now - peer.heard > peer.dead_after_seconds:
                self._give_up(run, f"was not heard for {now - peer.heard:.1f} s")
            elif now - peer.beat >= max(peer.heartbeat_seconds, shortest) and not self.beat(run):
                # It is gone, or has not read for so long that it has lost messages: what it has here is no longer
                # what it believes to have.
                self._give_up(run, "can't be reached")

    def _look_after_claims(self, now: float) -> None:
        for run, claim in tuple(self._claims.items()):
            peer = self._peers.get(run)
            if peer is None or not self._is_there(peer, run):
                del self._claims[run]
                self.on_hello(claim.identity, claim.hello)
            elif now > claim.until:
                del self._claims[run]
                self.strangers.dropped("refused a second connection of one run", repr(run)[:100])
                self._turn_away(claim.identity, claim.hello, "unknown_run", "this run is here, on another connection")

    def _give_up(self, run: str, why: str) -> None:
        if run == LAUNCHER:
            return  # the socket that joins them for life tells of its end
        if self._peers[run].worked:
            log.warning("run %.100r %s: dropped", run, why)
        else:
            self.strangers.dropped("dropped a run that never had a job here", f"{run!r:.100} {why}")
        self.drop(run)

    def drop(self, run: str) -> None:
        """The run is gone, or has to say Hello again."""
        self._peers.pop(run, None)
        self._host.drop(run)

    # -- messages out

    def send(self, run: str, message: m.Message, images: Sequence[Buffer] = ()) -> None:
        """Send to a run, if it is here."""
        peer = self._peers.get(run)
        if peer is not None:
            self._listener.send(peer.identity, message, images)

    def beat(self, run: str) -> bool:
        """Send a heartbeat; False if it did not go out."""
        peer = self._peers[run]
        peer.beat = time.monotonic()
        message = m.Heartbeat(run=run, incarnation=self._identity.incarnation, state=self._host.state())
        return self._listener.send(peer.identity, message)

    def tell_launcher(self) -> None:
        """Let the launcher hear at once how the worker stands."""
        if LAUNCHER in self._peers:
            self.beat(LAUNCHER)

    def refuse(
        self, identity: bytes, message: m.RunMessage | m.Hello, kind: m.RefusalKind, text: str, job: str | None = None
    ) -> None:
        """Say no to what was sent."""
        incarnation = self._identity.incarnation
        refused = m.Refused(run=message.run, incarnation=incarnation, kind=kind, message=text, job=job)
        self._listener.send(identity, refused)

    def _turn_away(self, identity: bytes, message: m.RunMessage | m.Hello, kind: m.RefusalKind, text: str) -> None:
        """Refuse one that is no peer."""
        self.strangers.dropped(f"refused what comes from nobody that is known here ({kind})", type(message).__name__)
        if self.strangers.is_to_be_told(identity, kind, time.monotonic()):
            self.refuse(identity, message, kind, text)
