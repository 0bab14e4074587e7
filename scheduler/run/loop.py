"""The loop of a run: one thread that hears the pool, the workers, its own helper threads and the user's signals.

It decides nothing about who works on what (``rounds``, ``batches``) or where weights go (``residency``); it takes the
run from waiting for the lease, over editing and scoring, to its end.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

import zmq

from protocol import messages as m
from protocol.codec import Buffer
from protocol.mailbox import Mailbox
from scheduler.base.interrupts import Interrupts
from scheduler.pool.client import PoolClient
from scheduler.pool.crew import Crew, CrewError
from scheduler.pool.residency import Wanted
from scheduler.pool.settings import AbortedError, PoolEndedError, RunSettings
from scheduler.pool.tenancy import Tenancy
from scheduler.pool.worker_client import WorkerClient
from scheduler.run.agenda import Agenda
from scheduler.run.progress import Phase, Progress
from scheduler.run.resume import Remaining
from scheduler.stages.edit_stage import EditStage
from scheduler.stages.score_stage import ScoreStage
from scheduler.store.delivery import Delivery, Item
from scheduler.store.run_directory import RunDirectory
from scheduler.store.trace import Trace
from scheduler.terminal.bars import StageBars

log = logging.getLogger("warmbench")

T = TypeVar("T")

_POLL_MS = 200
_POOL_END_SECONDS = 20.0
_READER_THREADS = 4


class Evaluation:
    """One run on one pool. Gives its stages what they need (``scheduler.stages.services.Services``)."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        pool: PoolClient,
        directory: RunDirectory,
        settings: RunSettings,
        bars: StageBars,
        interrupts: Interrupts,
        trace: Trace | None = None,
    ) -> None:
        self._context = context
        self._pool = pool
        self._settings = settings
        self._bars = bars
        self._interrupts = interrupts
        self._mailbox = Mailbox()
        self.trace = trace
        self._delivery = Delivery(directory.ledger, self._mailbox.post, self._on_disk_failure, trace)
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
        self._tenancy = Tenancy(pool, self._crew, settings, self._needed_roles)
        self._phase: Phase = "planning"
        self._drawing_up = False
        self._desired: dict[m.Role, Wanted] = {"editor": "device", "reward": "device"}
        self._draining = False
        self._failed_pairs: set[str] = set()
        self._error: AbortedError | None = None
        self._switch_began = 0.0
        self.switches = 0
        self.switch_seconds = 0.0
        self._edit: EditStage
        self._score: ScoreStage
        self._agenda: Agenda
        self._progress: Progress
        self._begun: set[m.Role] = set()
        self._told: set[str] = set()

    def use(self, edit: EditStage, score: ScoreStage, agenda: Agenda) -> None:
        """Set the two stages, and what they are to do."""
        self._edit, self._score, self._agenda = edit, score, agenda
        settings = self._settings
        self._progress = Progress(
            self._bars,
            settings.stages,
            edit,
            score,
            categories=agenda.categories,
            heartbeat_seconds=settings.heartbeat_seconds,
        )

    @property
    def tenancy(self) -> Tenancy:
        """The run's stay in the pool."""
        return self._tenancy

    @property
    def begun(self) -> bool:
        """Whether any worker has joined."""
        return bool(self._begun)

    # -- what the stages need

    @property
    def run(self) -> str:
        """The run's id on the wire."""
        return self._settings.run

    @property
    def epoch(self) -> int:
        """The epoch of the run's lease."""
        return self._tenancy.epoch or 0

    def worker(self, name: str) -> WorkerClient | None:
        """The worker, if it lives."""
        return self._crew.get(name)

    def fingerprint(self, role: m.Role) -> str:
        """That of the role's model, for the whole run."""
        found = self._crew.fingerprint(role)
        if found is None:
            raise AbortedError(f"no {role} has ever told which model it has")
        return found

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run ``function`` in a reader thread, then ``then`` in the loop's."""

        def post(future: Future[T]) -> None:
            if future.cancelled():
                return  # the run has ended: nobody waits for it
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            self._mailbox.post(lambda: then(error if error is not None else future.result()))

        self._readers.submit(function).add_done_callback(post)

    def deliver(self, item: Item) -> None:
        """Have this made durable."""
        self._progress.note(item.rows)
        self._delivery.put(item)

    def failure_recorded(self, key: str) -> None:
        """Something of this pair failed for good; too many such pairs end the run."""
        self._failed_pairs.add(key)
        count, limit = len(self._failed_pairs), self._settings.max_failures
        if limit is not None and count > limit and self._error is None:
            self._error = AbortedError(f"{count} pairs failed, more than the limit of {limit}")

    # -- the loop

    def execute(self) -> Literal["done", "interrupted"]:
        """Run to the end.

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
            if self._tenancy.ends_with_run:
                self._pool.stop(now=True)
            raise
        finally:
            self._end()

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._mailbox.fileno(), select.POLLIN)
        poller.register(self._pool.process, select.POLLIN)
        self._tenancy.register(poller)
        for client in self._crew:
            poller.register(client.link.socket, zmq.POLLIN)
        ready = dict(poller.poll(_POLL_MS))
        self._mailbox.run()
        try:
            self._tenancy.read()
            if self._pool.process in ready:
                raise PoolEndedError(f"the launcher of pool {self._pool.name} is gone, and its workers with it")
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

    def _needed_roles(self) -> list[m.Role]:
        over: dict[m.Role, bool] = {"editor": self._edit.finished, "reward": self._score.finished}
        return [role for role in over if not over[role]]

    # -- the course of the run

    def _plan(self) -> None:
        """Have it worked out what there is to do, as soon as that can be known."""
        known = {role: self._crew.fingerprint(role) for role in self._agenda.needs}
        fingerprints = {role: found for role, found in known.items() if found is not None}
        if not self._drawing_up and len(fingerprints) == len(known):
            self._drawing_up = True
            self.read(lambda: self._agenda.draw_up(fingerprints), self._on_drawn_up)

    def _on_drawn_up(self, remaining: Remaining | Exception) -> None:
        if isinstance(remaining, Exception):
            self._error = AbortedError(f"what the run has done so far can't be read: {remaining}")
            return
        self._progress.adopt(remaining)
        self.deliver(Item(remaining.rows))
        for path in remaining.removable:
            self.deliver(Item([], remove=path))

        def adopt() -> None:
            try:
                self._agenda.adopt(remaining, self._edit, self._score, self._bars, self._tenancy)
            except OSError as error:
                self._on_disk_failure(error)
                return
            self._phase = "waiting"

        self.deliver(Item([], done=adopt))

    def _advance(self) -> None:
        if self._phase == "planning":
            self._plan()
        # What a new run was to do is written down, even if it ends before it has done anything.
        recorded = self._agenda.adopted or self._agenda.needs
        nothing_begun = self._tenancy.epoch is None or self._phase in ("planning", "waiting")
        if self._draining and recorded and nothing_begun:
            self._phase = "done"
        if self._tenancy.epoch is None or self._phase in ("planning", "done"):
            return
        if self._phase == "waiting":
            self._phase = "editing"
            second: m.Role = "reward" if "edit" in self._settings.stages else "editor"
            self._desired[second] = "away" if self._tenancy.swap else "device"
        if self._phase == "editing" and self._edit.finished:
            self._edit_is_over()
        self._crew.settle(self._desired, self.epoch)
        scores_to_come = "score" in self._settings.stages and self._desired["reward"] == "away" and not self._draining
        if self._phase == "editing" and scores_to_come and self._edit.running_out:
            self._crew.read_early("reward", self.epoch)
        if self._phase == "switching" and self._crew.settled(self._desired):
            seconds = time.time() - self._switch_began
            self.switch_seconds += seconds
            log.info("Model switch done in %.1f s", seconds)
            self._phase = "scoring"
        # While roles change, nobody begins before everybody is there: the first would take more than its share.
        if self._phase != "switching" and self._crew.gathered(self._desired):
            self._take_in(self._crew.join(self._desired))
        if self._phase == "scoring" and self._score.finished:
            self._show()
            self._progress.finish("score")
            self._phase = "done"

    def _take_in(self, joining: Sequence[WorkerClient]) -> None:
        for role in {client.role for client in joining}:
            if role not in self._begun:
                self._begun.add(role)
                self._agenda.begun(self._tenancy)
        self._edit.join(*(client.name for client in joining if client.role == "editor"))
        self._score.join(*(client.name for client in joining if client.role == "reward"))

    def _edit_is_over(self) -> None:
        if "edit" in self._settings.stages:
            self._show()
            self._progress.finish("edit")
            shares = ", ".join(f"{name} {count}" for name, count in sorted(self._edit.done_by.items()))
            log.info("Edit stage completed: %d images (%s), %d failed", self._edit.done, shares, self._edit.failed)
            self._tell_stage("edit")
        if "score" not in self._settings.stages:
            self._phase = "done"
            return
        self._score.close()
        if self._tenancy.swap and not self._score.finished:
            log.info("Model switch: editors leave the devices, rewards come onto them")
            self._desired = {"editor": "away", "reward": "device"}
            self._switch_began = time.time()
            # Without editors on the devices, the rewards' way there is the first placement, and no switch.
            self.switches += "editor" in self._begun
            self._crew.dismiss("editor")
            self._phase = "switching"
        else:
            self._phase = "scoring"

    def _tell_stage(self, stage: Literal["edit", "score"]) -> None:
        """Write a stage's row, once, if anything was done in it."""
        clock = self._edit.clock if stage == "edit" else self._score.clock
        if stage in self._told or not clock.workers:
            return
        self._told.add(stage)
        switched = stage == "score"
        row = clock.row(
            stage,
            switches=self.switches if switched else 0,
            switch_seconds=self.switch_seconds if switched else 0.0,
            now=time.time(),
        )
        self.deliver(Item([row]))

    def _show(self) -> None:
        if self._draining:
            doing = "interrupted: what is on the devices is finished"
        elif self._phase == "switching":
            doing = "the models change places on the devices"
        else:
            doing = "" if self._begun else "waiting for the workers"
        self._progress.show(
            self._phase,
            doing,
            planned=self._agenda.adopted,
            pool=lambda: self._tenancy.workers,
            client_of=self._crew.get,
        )

    # -- the end

    def _end(self) -> None:
        self._crew.leave("the run is over")
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._tell_stage("edit")
        self._tell_stage("score")
        self._delivery.close()
        pool_ends = self._tenancy.ends_with_run
        process = os.dup(self._pool.process)
        self._tenancy.leave()
        if pool_ends:
            select.select([process], [], [], _POOL_END_SECONDS)
        os.close(process)
        self._mailbox.close()
