"""The loop of a run: one thread that hears the pool, the workers, its own helper threads and the user's signals.

It decides nothing about who works on what (``rounds``, ``batches``) or where weights go (``residency``); it takes the
run from waiting for the lease, over editing and scoring, to its end.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import zmq

from protocol import messages as m
from protocol.codec import Buffer, ProtocolError
from protocol.mailbox import Mailbox
from scheduler.crew import Crew, CrewError
from scheduler.delivery import Delivery, Item
from scheduler.edit_stage import EditStage
from scheduler.interrupts import Interrupts
from scheduler.ledger_rows import Row
from scheduler.matching import away_from_device, devices, mismatches, shares_devices
from scheduler.pool_client import PoolClient
from scheduler.pool_watch import PoolWatch
from scheduler.residency import Wanted
from scheduler.run_directory import RunDirectory
from scheduler.score_stage import ScoreStage
from scheduler.terminal.bars import StageBars
from scheduler.worker_client import WorkerClient

log = logging.getLogger("warmbench")

T = TypeVar("T")

_POLL_MS = 200
_POOL_END_SECONDS = 20.0
_READER_THREADS = 4


class AbortedError(Exception):
    """The run can't go on; what it has done is in the ledger."""


@dataclass(frozen=True)
class LoopSettings:
    """How the loop runs. Seconds; ``max_failures`` counts pairs, None is no limit.

    ``devices`` and ``swap`` are what the config asks for; a pool that is up may have other devices, which then decide
    on ``swap`` if ``swap_if_shared``.
    """

    run: str
    swap: bool
    swap_if_shared: bool
    devices: Mapping[m.Role, tuple[str, ...]]
    keep_warm: bool
    heartbeat_seconds: float
    dead_after_seconds: float
    max_failures: int | None
    specs: Mapping[m.Role, m.ModelSpec]


Phase = Literal["waiting", "editing", "switching", "scoring", "done"]


class Evaluation:
    """One run on one pool. Gives its stages what they need (``scheduler.services.Services``)."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        pool: PoolClient,
        directory: RunDirectory,
        settings: LoopSettings,
        bars: StageBars,
        interrupts: Interrupts,
    ) -> None:
        self._context = context
        self._pool = pool
        self._settings = settings
        self._bars = bars
        self._interrupts = interrupts
        self._mailbox = Mailbox()
        self._delivery = Delivery(directory.ledger, self._mailbox.post, self._on_disk_failure)
        self._readers = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="reader")
        self._crew = Crew(
            context,
            run=settings.run,
            specs=settings.specs,
            heartbeat_seconds=settings.heartbeat_seconds,
            dead_after_seconds=settings.dead_after_seconds,
            on_message=self._on_message,
            on_withdrawn=self._on_withdrawn,
        )
        self._watch = PoolWatch(settings.specs)
        self._epoch: int | None = None
        self._lease: m.LeaseMode | None = None
        self._phase: Phase = "waiting"
        self._swap = settings.swap
        self._desired: dict[m.Role, Wanted] = {"editor": "device", "reward": "device"}
        self._draining = False
        self._failed_pairs: set[str] = set()
        self._reloaded: set[str] = set()
        self._error: AbortedError | None = None
        self._switch_began = 0.0
        self.devices = settings.devices
        self.switches = 0
        self.switch_seconds = 0.0
        self._edit: EditStage
        self._score: ScoreStage

    def use(self, edit: EditStage, score: ScoreStage) -> None:
        """Set the two stages."""
        self._edit, self._score = edit, score

    # -- what the stages need

    @property
    def run(self) -> str:
        """The run's id on the wire."""
        return self._settings.run

    @property
    def epoch(self) -> int:
        """The epoch of the run's lease."""
        return self._epoch or 0

    def worker(self, name: str) -> WorkerClient | None:
        """The worker, if it lives."""
        return self._crew.get(name)

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run ``function`` in a reader thread, then ``then`` in the loop's."""

        def post(future: Future[T]) -> None:
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            self._mailbox.post(lambda: then(error if error is not None else future.result()))

        self._readers.submit(function).add_done_callback(post)

    def deliver(self, item: Item) -> None:
        """Have this made durable."""
        self._delivery.put(item)

    def failure_recorded(self, key: str) -> None:
        """Something of this pair failed for good; too many such pairs end the run."""
        self._failed_pairs.add(key)
        count, limit = len(self._failed_pairs), self._settings.max_failures
        if limit is not None and count > limit and self._error is None:
            self._error = AbortedError(f"{count} pairs failed, more than the limit of {limit}")

    # -- the loop

    def execute(self, last_rows: Callable[[], Sequence[Row]]) -> Literal["done", "interrupted"]:
        """Run to the end. However it ends, ``last_rows`` go into the ledger last of all.

        Raises:
            AbortedError: it can't go on.
            KeyboardInterrupt: the user wants it to stop now.
        """
        self._mailbox.wake_on_signals()
        try:
            while self._phase != "done":
                self._turn()
            return "interrupted" if self._draining else "done"
        except (AbortedError, KeyboardInterrupt):
            if self._watch.ends_with(self.run) and not self._settings.keep_warm:
                self._pool.stop(now=True)
            raise
        finally:
            self._end(last_rows())

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._mailbox.fileno(), select.POLLIN)
        poller.register(self._pool.process, select.POLLIN)
        poller.register(self._pool.link.socket, zmq.POLLIN)
        for client in self._crew:
            poller.register(client.link.socket, zmq.POLLIN)
        ready = dict(poller.poll(_POLL_MS))
        self._mailbox.run()
        try:
            self._read_pool()
            if self._pool.process in ready:
                raise AbortedError(f"the launcher of pool {self._pool.name} is gone, and its workers with it")
            self._crew.attend()
        except CrewError as error:
            raise AbortedError(str(error)) from error
        if self._error is not None:
            raise self._error
        if self._interrupts.count > 1:
            raise KeyboardInterrupt
        if self._interrupts.count and not self._draining:
            self._drain()
        self._advance()
        self._show()

    def _drain(self) -> None:
        self._draining = True
        log.warning("Interrupted: what is on the devices is finished first; interrupt again to stop now")
        self._edit.drain()
        self._score.drain()

    def _on_disk_failure(self, error: Exception) -> None:
        self._error = AbortedError(f"the results can't be written: {error}")

    # -- the pool

    def _read_pool(self) -> None:
        while True:
            try:
                received = self._pool.link.receive()
            except ProtocolError as error:
                log.warning("the launcher sent what is no message: %s", error)
                continue
            if received is None:
                return
            match received[0]:
                case m.PoolStatus() as status:
                    self._on_status(status)
                case m.Granted() as granted:
                    self._on_granted(granted)
                case m.Waiting(holders=holders):
                    log.info("Waiting for the pool: it is used by %s", ", ".join(holders))
                case m.Refused(message=text):
                    raise AbortedError(f"pool {self._pool.name} refuses: {text}")
                case _:
                    pass

    def _needed_lease(self, status: m.PoolStatus) -> m.LeaseMode:
        """Exclusive for as long as this run has to load or move models."""
        moves = self._swap or away_from_device(status)
        return "exclusive" if moves or self._has_late_mismatch(status) else "shared"

    def _take_as_it_is(self, status: m.PoolStatus) -> None:
        found = devices(status)
        if found == self._settings.devices:
            return
        self.devices = found
        if self._settings.swap_if_shared:
            self._swap = shares_devices(found)
        log.warning(
            "Pool %s has other devices than the config (editors on %s, rewards on %s): it is used as it is",
            self._pool.name,
            ", ".join(found["editor"]),
            ", ".join(found["reward"]),
        )

    def _has_late_mismatch(self, status: m.PoolStatus) -> bool:
        """Whether a role that has not begun turns out to hold another model; one that has begun goes on as it is."""
        return any(not self._crew.begun(found.role) for found in mismatches(status, self._settings.specs))

    def _request_lease(self, mode: m.LeaseMode) -> None:
        self._lease = mode
        self._pool.request_lease(mode, keep_warm=self._settings.keep_warm)

    def _on_granted(self, granted: m.Granted) -> None:
        status = self._watch.status
        if granted.mode != self._lease or status is None:
            return
        begun = self._crew.begun("editor") or self._crew.begun("reward")
        if granted.mode == "shared" and not begun and self._needed_lease(status) == "exclusive":
            # Somebody else has loaded or moved models while this run waited.
            self._give_up_lease_for("exclusive")
            return
        self._epoch = granted.epoch
        if granted.mode == "exclusive":
            self._load_in_place(status)
        self._crew.update(status)
        if self._phase == "waiting":
            self._phase = "editing"
            self._desired["reward"] = "away" if self._swap else "device"

    def _give_up_lease_for(self, mode: m.LeaseMode) -> None:
        """Without the lease this run has nothing to do with the workers, whose models may change meanwhile."""
        self._crew.give_up("the run waits for the exclusive lease")
        self._epoch = None
        self._request_lease(mode)

    def _load_in_place(self, status: m.PoolStatus) -> None:
        """Have wrong models replaced, each once and only before its role has begun."""
        late = [found for found in mismatches(status, self._settings.specs) if not self._crew.begun(found.role)]
        for role, spec in self._settings.specs.items():
            wrong = [found for found in late if found.role == role and found.worker_id not in self._reloaded]
            self._reloaded.update(found.worker_id for found in wrong)
            for found in wrong:
                log.info("%s: loading the run's model in place: %s", found.worker_id, found.why)
            if wrong:
                self._pool.reload([found.worker_id for found in wrong], spec, self.epoch)

    def _on_status(self, status: m.PoolStatus) -> None:
        for line in self._watch.update(status):
            log.log(line.level, "%s", line.text)
        if self._lease is None:
            self._take_as_it_is(status)
            self._request_lease(self._needed_lease(status))
        if self._epoch is None:
            if status.stopping:
                raise AbortedError(f"pool {self._pool.name} is being stopped; start the run again")
            return  # what the workers hold is still somebody else's business
        self._crew.update(status)
        # With the last death of a role its last unit may have been given up: then nobody of it is needed any more.
        over: dict[m.Role, bool] = {"editor": self._edit.finished, "reward": self._score.finished}
        problem = self._watch.hopeless([role for role in over if not over[role]], self._crew.strange)
        if problem is not None:
            raise AbortedError(problem)
        needed = self._needed_lease(status)
        if self._lease == "exclusive" and needed == "exclusive":
            self._load_in_place(status)
        elif self._lease == "exclusive":
            # All is loaded and in its place: others may use it at the same time.
            self._request_lease("shared")
        elif self._has_late_mismatch(status):
            self._give_up_lease_for("exclusive")

    # -- workers

    def _on_message(self, client: WorkerClient, message: m.AnyMessage, images: list[Buffer]) -> None:
        if client.role == "editor":
            self._edit.handle(client.name, message, images)
        else:
            self._score.handle(client.name, message)

    def _on_withdrawn(self, client: WorkerClient, died: bool) -> None:
        if client.role == "editor":
            self._edit.lose(client.name, died=died)
        else:
            self._score.lose(client.name, died=died)

    # -- the course of the run

    def _advance(self) -> None:
        if self._epoch is None:
            if self._draining:
                self._phase = "done"
            return
        if self._phase == "editing" and self._edit.finished:
            self._edit_is_over()
        self._crew.settle(self._desired, self.epoch)
        if self._phase == "switching" and self._crew.settled(self._desired):
            seconds = time.time() - self._switch_began
            self.switch_seconds += seconds
            log.info("Model switch done in %.1f s", seconds)
            self._phase = "scoring"
        # While roles change, nobody begins before everybody is there: the first would take more than its share.
        if self._phase != "switching" and self._crew.gathered:
            self._take_in(self._crew.join(self._desired))
        if self._phase == "scoring" and self._score.finished:
            self._show()
            self._bars.finish("score")
            self._phase = "done"

    def _take_in(self, joining: Sequence[WorkerClient]) -> None:
        self._edit.join(*(client.name for client in joining if client.role == "editor"))
        self._score.join(*(client.name for client in joining if client.role == "reward"))

    def _edit_is_over(self) -> None:
        self._show()
        self._bars.finish("edit")
        shares = ", ".join(f"{name} {count}" for name, count in sorted(self._edit.done_by.items()))
        log.info("Edit stage completed: %d images (%s), %d failed", self._edit.done, shares, self._edit.failed)
        self._score.close()
        if self._swap and not self._score.finished:
            log.info("Model switch: editors leave the devices, rewards come onto them")
            self._desired = {"editor": "away", "reward": "device"}
            self._switch_began = time.time()
            self.switches += 1
            self._crew.dismiss("editor")
            self._phase = "switching"
        else:
            self._phase = "scoring"

    def _show(self) -> None:
        edit, score = self._edit, self._score
        if self._phase in ("editing", "waiting"):
            rounds = (edit.round + 1, edit.last_round + 1) if edit.round >= 0 else (None, None)
            self._bars.update(
                "edit", done=edit.done + edit.failed, failed=edit.failed, round=rounds[0], rounds=rounds[1]
            )
        self._bars.update("score", done=score.done + score.failed, failed=score.failed)

    # -- the end

    @property
    def swap(self) -> bool:
        """Whether the stages take turns on the devices."""
        return self._swap

    @property
    def pool_workers(self) -> list[m.WorkerStatus]:
        """The pool's workers, as last heard of."""
        return self._watch.workers

    def _end(self, last_rows: Sequence[Row]) -> None:
        self._crew.leave("the run is over")
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._delivery.put(Item(last_rows))
        self._delivery.close()
        pool_ends = self._watch.ends_with(self.run) and not self._settings.keep_warm
        process = os.dup(self._pool.process)
        self._pool.close()
        if pool_ends:
            select.select([process], [], [], _POOL_END_SECONDS)
        os.close(process)
        self._mailbox.close()
