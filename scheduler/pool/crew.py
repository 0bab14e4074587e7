"""The workers of a run: connecting to them, hearing them, losing them, moving their models."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Container, Iterator, Mapping

import zmq

from protocol import messages as m
from protocol.codec import Buffer, ProtocolError
from protocol.host_memory import available_memory
from scheduler.base.memory import private_memory
from scheduler.base.text import format_size, one_line
from scheduler.pool.address import PoolAddress
from scheduler.pool.clocks import by_our_clock
from scheduler.pool.matching import Commands, has_ended, in_the_way, usable
from scheduler.pool.residency import Placement, Wanted, Weights, next_moves, off_device, settled, to_read_early
from scheduler.pool.worker_client import WorkerClient

_MESSAGES_PER_TURN = 256

log = logging.getLogger("warmbench")

OnMessage = Callable[[WorkerClient, m.AnyMessage, list[Buffer]], None]


class CrewError(Exception):
    """The workers cannot be used any more: a model could not be moved, or another run has the pool now."""


class Crew:
    """All workers that the run is connected to.

    ``on_message`` gets a worker's messages about its jobs. ``on_withdrawn`` gets a worker that had joined and takes no
    part any more, whether it died, and of what if that is known, or that it ends, and why.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: PoolAddress,
        *,
        run: str,
        specs: Mapping[m.Role, m.ModelSpec],
        commands: Commands,
        heartbeat_seconds: float,
        dead_after_seconds: float,
        on_message: OnMessage,
        on_withdrawn: Callable[[WorkerClient, bool, str | None], None],
    ) -> None:
        self._context = context
        self._address = address
        self._run = run
        self._specs = specs
        self._commands = commands
        self._heartbeat_seconds = heartbeat_seconds
        self._dead_after_seconds = dead_after_seconds
        self._on_message = on_message
        self._on_withdrawn = on_withdrawn
        self._clients: dict[str, WorkerClient] = {}
        self._fingerprints: dict[m.Role, str] = {}
        self.other_weights: set[tuple[str, str]] = set()
        """The lives (worker and incarnation) that have loaded other weights than this run began with."""
        self._garbled: set[str] = set()
        self._asked_early: set[str] = set()

    def get(self, name: str) -> WorkerClient | None:
        """The worker, if it lives."""
        return self._clients.get(name)

    def __iter__(self) -> Iterator[WorkerClient]:
        return iter(tuple(self._clients.values()))

    def update(self, status: m.PoolStatus) -> None:
        """Connect to the workers that have the run's models loaded; drop workers that died."""
        for worker in status.workers:
            client = self._clients.get(worker.worker_id)
            if client is not None and has_ended(client.incarnation, worker):
                # Its last messages say what it had done, and so what it died of.
                self._read(client, sys.maxsize)
                if worker.worker_id in self._clients:
                    self._lose(client, worker.state.error if worker.state is not None and not worker.alive else None)
                client = None
            ours = usable(worker, self._specs, self._commands)
            if client is None and (ours or in_the_way(worker, status, self._specs)):
                self._clients[worker.worker_id] = self._connect(worker)

    def _connect(self, worker: m.WorkerStatus) -> WorkerClient:
        try:
            assert worker.endpoint is not None  # noqa: S101 - the caller waits for it
            return WorkerClient(
                self._address.link(self._context, worker.endpoint, worker.server_key),
                worker,
                run=self._run,
                heartbeat_seconds=self._heartbeat_seconds,
                dead_after_seconds=self._dead_after_seconds,
            )
        except (zmq.ZMQError, ValueError) as error:
            text = one_line(f"{worker.worker_id} can't be connected to at {worker.endpoint}: {error}", 500)
            raise CrewError(text) from error

    def attend(self, ready: Container[object]) -> None:
        """Read the messages of those workers whose sockets are ``ready``, send heartbeats, and withdraw workers that
        have fallen silent. Raises ``CrewError``.
        """
        for client in self:
            if client.link.socket in ready or client.silent:  # it may have spoken while this process was busy
                self._read(client)
            client.beat()
            if client.silent and client.welcome:
                log.warning("%s was not heard for %g s", client.name, client.silent_after_seconds)
                self._withdraw(client, died=False)
                client.hello()
            elif client.unanswered and self._address.keys is not None:
                client.hello_again()

    def settle(self, desired: Mapping[m.Role, Wanted], epoch: int) -> bool:
        """Return whether all weights are where they should be; if not, begin all moves that can begin."""
        if settled(self._placements(), desired):
            return True
        # A worker that has not answered yet may hold a device that another one needs.
        if all(client.welcome or client.silent for client in self):
            for name, residency in next_moves(self._placements(), desired, self._away()):
                self._clients[name].place(residency, epoch)
        return False

    def read_early(self, role: m.Role, epoch: int) -> None:
        """Have weights that are on disk read into host memory, if that has room.

        Each worker is asked once in a run, even if it is started again: a worker that dies of it must not repeat it
        until it is given up.
        """
        unasked = {
            client.name for client in self if client.role == role and client.residency == "disk"
        } - self._asked_early
        if not unasked or not all(map(self._is_here, self)):
            return
        models = {client.name: _weights(client.model) for client in self if client.model is not None}
        for name in to_read_early(self._placements(), role, models, available_memory()):
            if name in unasked:
                self._asked_early.add(name)
                self._clients[name].read_early = True
                log.info("%s: reading the model into host memory ahead of its turn", name)
                self._clients[name].place("host", epoch)

    def gathered(self, desired: Mapping[m.Role, Wanted]) -> bool:
        """Whether every worker that answers at all is ready to begin, or is not wanted on its device: workers begin
        together.
        """

        def ready(client: WorkerClient) -> bool:
            return client.welcome and (client.moving_to is None or desired[client.role] == "away")

        return all(ready(client) or client.silent for client in self)

    def join(self, desired: Mapping[m.Role, Wanted]) -> list[WorkerClient]:
        """Let workers join that are ready to work; return them."""
        joining = []
        for client in self:
            wanted = not client.joined and desired[client.role] == "device"
            placed = client.moving_to is None and client.residency == "device"
            if wanted and placed and self._has_model(client) and self._has_same_weights(client):
                client.joined = True
                joining.append(client)
        return joining

    def _has_model(self, client: WorkerClient) -> bool:
        state = client.state
        if not client.welcome or state is None or state.model is None:
            return False
        right = state.phase == "ready" and state.model.spec == self._specs.get(client.role)
        return right and not (state.stale and not self.begun(client.role))

    def begun(self, role: m.Role) -> bool:
        """Whether the run has begun with this role, whose model then stays the same."""
        return role in self._fingerprints

    def fingerprint(self, role: m.Role) -> str | None:
        """The fingerprint of the role's model, from the first worker that has it loaded; None while no worker has."""
        if role not in self._fingerprints:
            for client in self:
                if client.role == role and self._has_model(client):
                    self._has_same_weights(client)
                    break
        return self._fingerprints.get(role)

    def _has_same_weights(self, client: WorkerClient) -> bool:
        """Whether it has the role's weights of this run, which stay the same even if the model's files change."""
        if client.model is None:
            return False
        fingerprint = self._fingerprints.setdefault(client.role, client.model.fingerprint)
        if fingerprint == client.model.fingerprint:
            return True
        if (client.name, client.incarnation) not in self.other_weights:
            self.other_weights.add((client.name, client.incarnation))
            log.error("%s has loaded other weights than this run began with: it is not used", client.name)
        return False

    def dismiss(self, role: m.Role) -> None:
        """Withdraw the role's workers, which have nothing more to do, without a report."""
        for client in self:
            client.joined = client.joined and client.role != role

    def leave(self, reason: str) -> None:
        """Say goodbye to all workers, without a report."""
        for client in self:
            client.leave(reason)
        self._clients.clear()

    def give_up(self, reason: str) -> None:
        """Say goodbye to all workers for now, and report them as withdrawn: their work is done later."""
        leaving = list(self)
        self.leave(reason)
        for client in leaving:
            self._withdraw(client, died=False)

    def _placements(self) -> list[Placement]:
        return [client.placement for client in self if client.welcome]

    def _away(self) -> m.Residency:
        if not all(map(self._is_here, self)):
            return "disk"  # nothing is known of the memory of other machines
        models = [(_weights(client.model), client.pid) for client in self if client.model is not None]
        held = sum(min(weights.own, private_memory(pid)) for weights, pid in models)
        return off_device((weights for weights, _ in models), available_memory() + held)

    def _is_here(self, client: WorkerClient) -> bool:
        """Whether it runs on this machine, so that its pid and its memory mean something here."""
        return self._address.card is not None and client.host is None

    def _read(self, client: WorkerClient, most: int = _MESSAGES_PER_TURN) -> None:
        for _ in range(most):
            # A message may have ended this connection.
            if self._clients.get(client.name) is not client:
                return
            try:
                received = client.link.receive()
            except ProtocolError as error:
                if client.name not in self._garbled:
                    self._garbled.add(client.name)
                    log.warning("%s sent an invalid message (logged once): %s", client.name, error)
                continue
            if received is None:
                return
            message, images = received
            if isinstance(message, m.Hello) or (message.run, message.incarnation) != (self._run, client.incarnation):
                continue
            self._handle(client, message, images)

    def _handle(self, client: WorkerClient, message: m.AnyMessage, images: list[Buffer]) -> None:
        client.heard(message.state if isinstance(message, m.Welcome | m.Heartbeat) else None)
        match message:
            case m.Welcome():
                if message.queued or message.running or message.unacknowledged:
                    # Jobs from before a silence: others have them by now.
                    client.cancel()
                stale = message.state.stale and client.role in self._specs
                if stale and not client.joined and not self.begun(client.role):
                    # The launcher hears of it as well, and then the run has the model loaded again.
                    self._lose(client)
                    return
                client.welcomed(message.now)
            case m.Placed(residency="host", error=error) if error is not None and client.read_early:
                # It tries again when its turn comes, and then a failure counts.
                client.placed(message)
                log.warning("%s could not read its model ahead of its turn: %s", client.name, error)
            case m.Placed(error=error) if error is not None:
                raise CrewError(f"{client.name} could not move its model: {error}")
            case m.Placed():
                was, model = client.residency, client.model
                client.placed(message)
                seconds = f"in {message.seconds:.1f} s"
                if was == "disk" and model is not None:
                    seconds = f"({format_size(model.size_bytes)} read from its files {seconds})"
                log.info("%s: model moved to %s %s", client.name, message.residency, seconds)
            case m.Refused(kind="invalid", message=text):
                raise CrewError(f"{client.name} does not understand this run: {text}")
            case m.Refused(kind="epoch", message=text):
                raise CrewError(f"{client.name} takes no more orders of this run: {text}")
            case m.Refused():
                # It has dropped its jobs, or cannot do them; it reports its state before it gets more.
                log.debug("%s refused (%s): %s", client.name, message.kind, message.message)
                if client.welcome:
                    self._withdraw(client, died=False)
                    client.hello()
            case m.Goodbye(reason=reason):
                # It ends on purpose, as its launcher reports next: what it has not finished is not the cause.
                client.welcome = False
                self._withdraw(client, died=False, reason=f"ends: {reason}" if reason else "ends")
            case m.Heartbeat():
                pass
            case _:
                self._on_message(client, by_our_clock(message, client.offset), images)

    def _withdraw(self, client: WorkerClient, *, died: bool, reason: str | None = None) -> None:
        """Report that the worker takes no part any more; it may join again."""
        if client.joined:
            client.joined = False
            self._on_withdrawn(client, died, reason)

    def _lose(self, client: WorkerClient, reason: str | None = None) -> None:
        del self._clients[client.name]
        self._withdraw(client, died=True, reason=reason)
        client.link.close()


def _weights(model: m.LoadedModel) -> Weights:
    return Weights(model.fingerprint, model.size_bytes, min(model.host_bytes, model.size_bytes))
