"""A run's stay in a pool: the launcher's reports, the lease that the run needs, the models that it has replaced."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

import zmq

from protocol import messages as m
from protocol.codec import ProtocolError
from scheduler.pool.client import PoolClient
from scheduler.pool.crew import Crew
from scheduler.pool.matching import (
    Mismatch,
    away_from_device,
    devices,
    has_loaded_since,
    mismatches,
    same_devices,
    shares_devices,
    without_model,
)
from scheduler.pool.settings import AbortedError, EditorNotLoadedError, PoolEndedError, RunSettings
from scheduler.pool.watch import PoolWatch

log = logging.getLogger("warmbench")

_MESSAGES_PER_TURN = 256


class Tenancy:
    """``epoch`` is that of the run's lease, None while it has none and must not use the workers.

    ``swap`` and ``devices`` are the config's until the pool reports its own.
    """

    def __init__(
        self, pool: PoolClient, crew: Crew, settings: RunSettings, needed: Callable[[], Collection[m.Role]]
    ) -> None:
        """``needed`` returns the roles that still have something to do."""
        self.epoch: int | None = None
        self.swap = settings.swap
        self.devices = settings.devices
        self._pool = pool
        self._crew = crew
        self._settings = settings
        self._needed = needed
        self._watch = PoolWatch(settings.specs, attached=pool.attached)
        self._lease: m.LeaseMode | None = None
        self._garbled = False
        self._silent = False
        self._reloaded: set[str] = set()
        self._again: set[str] = set()
        """The workers that failed to load the run's model before this run, and are to try again."""

    @property
    def workers(self) -> list[m.WorkerStatus]:
        """The pool's workers, as last reported, without those that hold another model than the run works with."""
        return [worker for worker in self._watch.workers if not self._holds_another(worker)]

    def _holds_another(self, worker: m.WorkerStatus) -> bool:
        ours = self._crew.fingerprint(worker.role)
        held = worker.state.model if worker.state is not None else None
        return ours is not None and held is not None and held.fingerprint != ours

    @property
    def ends_with_run(self) -> bool:
        """Whether the pool ends when this run leaves."""
        return self._watch.ends_with(self._settings.run) and not self._settings.keep_warm

    def leave(self) -> None:
        """Leave the pool. A pool that was launched for a run ends once a run leaves that has asked for the lease."""
        if self._lease is None:
            self._request_lease("shared")
        self._pool.close()

    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop for the launcher's messages."""
        self._pool.register(poller)

    def read(self) -> None:
        """Act on the launcher's messages. Raises ``AbortedError`` if the run cannot go on in this pool."""
        for _ in range(_MESSAGES_PER_TURN):
            try:
                received = self._pool.link.receive()
            except ProtocolError as error:
                if not self._garbled:
                    self._garbled = True
                    log.warning("the launcher sent an invalid message (logged once): %s", error)
                continue
            if received is None:
                return
            if self._silent:
                self._silent = False
                log.info("The launcher of pool %s is heard again", self._pool.name)
            self._pool.heard()
            match received[0]:
                case m.PoolStatus() as status:
                    self._on_status(status)
                case m.Granted() as granted:
                    self._on_granted(granted)
                case m.Waiting(holders=holders):
                    log.info("Waiting for the pool: it is used by %s", ", ".join(holders))
                case m.Goodbye():
                    raise PoolEndedError(f"the launcher of pool {self._pool.name} has ended")
                case m.Refused(kind="unknown_run"):
                    self._pool.hello()  # the connection was cut and made again, or the launcher is a new one
                case m.Refused(message=text):
                    raise AbortedError(f"pool {self._pool.name} refuses: {text}")
                case _:
                    pass

    def mind_silence(self) -> None:
        """Wait for a launcher that is not heard over TCP, or for a new one: the workers wait as well.

        Raises ``AbortedError`` once they have waited long enough.
        """
        silent, patience = self._pool.silent_seconds, self._settings.orphan_seconds
        if silent <= self._settings.dead_after_seconds:
            return
        if not self._silent:
            self._silent = True
            text = "The launcher of pool %s was not heard for %.0f s: waiting for it, or for a new one, for %g s"
            log.warning(text, self._pool.name, silent, patience)
        if silent > self._settings.dead_after_seconds + patience:
            raise AbortedError(f"the launcher of pool {self._pool.name} was not heard for {silent:.0f} s")
        self._pool.connect_again()

    def _keep_lease(self, status: m.PoolStatus) -> None:
        """Ask again for a lease that a new launcher knows nothing of, or that ended while the run was not heard."""
        run = self._settings.run
        if self._lease is None or not self._pool.address.over_tcp or run in status.holders or run in status.waiting:
            return
        if self.epoch is not None and status.holders:
            log.warning("The lease has ended, and %s has the pool now: waiting for it", ", ".join(status.holders))
            self._give_up_lease_for(self._lease)
        else:
            self._request_lease(self._lease)

    def _needed_lease(self, status: m.PoolStatus) -> m.LeaseMode:
        """Exclusive for as long as this run has to load or move models."""
        moves = self.swap or away_from_device(status)
        return "exclusive" if moves or self._has_late_mismatch(status) else "shared"

    def _take_as_it_is(self, status: m.PoolStatus) -> None:
        present, asked = devices(status), self._settings.devices
        if self._settings.swap_if_shared:
            self.swap = shares_devices(present)
        if all(same_devices(present[role], asked[role]) for role in asked):
            return
        self.devices = {role: present[role] for role in asked}
        log.warning(
            "Pool %s has other devices than the config (%s): it is used as it is",
            self._pool.name,
            ", ".join(f"{role}s on {', '.join(where) or 'none'}" for role, where in self.devices.items()),
        )

    def _has_late_mismatch(self, status: m.PoolStatus) -> bool:
        """Whether a role that has not begun holds another model; a role that has begun keeps its own."""
        return bool(self._late_mismatches(status))

    def _late_mismatches(self, status: m.PoolStatus) -> list[Mismatch]:
        found = mismatches(status, self._settings.specs, self._settings.commands, self._again)
        return [mismatch for mismatch in found if not self._crew.begun(mismatch.role)]

    def _request_lease(self, mode: m.LeaseMode) -> None:
        self._lease = mode
        self._pool.request_lease(mode, keep_warm=self._settings.keep_warm)

    def _on_granted(self, granted: m.Granted) -> None:
        status = self._watch.status
        if granted.mode != self._lease or status is None:
            return
        begun = self._crew.begun("editor") or self._crew.begun("reward")
        if granted.mode == "shared" and not begun and self._needed_lease(status) == "exclusive":
            # Another run has loaded or moved models while this one waited.
            self._give_up_lease_for("exclusive")
            return
        if self.epoch is not None and granted.epoch > self.epoch + 1:
            self._crew.give_up("another run has had the lease in between")
        self.epoch = granted.epoch
        if granted.mode == "exclusive":
            self._load_in_place(status, granted.epoch)
        self._crew.update(status)

    def _give_up_lease_for(self, mode: m.LeaseMode) -> None:
        """Leave the workers, whose models may change while the run waits for the lease."""
        self._crew.give_up("the run waits for the exclusive lease")
        self.epoch = None
        self._request_lease(mode)

    def _load_in_place(self, status: m.PoolStatus, epoch: int) -> None:
        """Have wrong models replaced, each once and only before its role has begun."""
        for one in self._late_mismatches(status):
            if one.worker_id in self._reloaded:
                continue
            self._reloaded.add(one.worker_id)
            how = "loading the run's model in place" if one.command is None else "starting it anew for this run"
            log.info("%s: %s: %s", one.worker_id, how, one.why)
            self._pool.reload(one.worker_id, self._settings.specs[one.role], epoch, one.command)

    def _on_status(self, status: m.PoolStatus) -> None:
        for line in self._watch.update(status, time.monotonic()):
            log.log(line.level, "%s", line.text)
        if self._lease is None:
            self._take_as_it_is(status)
            if self._pool.attached:
                self._again = without_model(status, self._settings.specs)
            self._request_lease(self._needed_lease(status))
        self._keep_lease(status)
        if self.epoch is None:
            if status.stopping:
                raise PoolEndedError(f"pool {self._pool.name} is being stopped")
            return  # the workers are not this run's yet
        self._again &= {worker.worker_id for worker in status.workers if not has_loaded_since(worker, self.epoch)}
        self._crew.update(status)
        # The last worker's death may have given up the role's last unit: then the role is not needed any more.
        problem = self._watch.hopeless(self._needed(), self._crew.other_weights, self._again)
        if problem is not None:
            raise (EditorNotLoadedError if self._watch.not_loaded("editor") else AbortedError)(problem)
        needed = self._needed_lease(status)
        if self._lease == "exclusive" and needed == "exclusive":
            self._load_in_place(status, self.epoch)
        elif self._lease == "exclusive":
            # All models are loaded and in place: other runs may use the pool at the same time.
            self._request_lease("shared")
        elif self._has_late_mismatch(status):
            self._give_up_lease_for("exclusive")
