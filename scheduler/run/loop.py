"""The loop of a run: one thread that hears the pool, the workers, its own helper threads and the user's signals.

It decides nothing: ``course`` decides what the run does next, ``rounds`` and ``batches`` who works on what,
``residency`` where weights go.
"""

from __future__ import annotations

import importlib
import logging
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

import zmq

from protocol import messages as m
from protocol.codec import Buffer
from protocol.mailbox import Mailbox
from scheduler.base.interrupts import Interrupts
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.base.text import counted
from scheduler.pool.client import PoolClient
from scheduler.pool.crew import Crew, CrewError
from scheduler.pool.settings import AbortedError, PoolEndedError, RunSettings
from scheduler.pool.tenancy import Tenancy
from scheduler.pool.worker_client import WorkerClient
from scheduler.run import course as c
from scheduler.run.agenda import Agenda
from scheduler.run.planner import Remaining
from scheduler.run.progress import ProgressDisplay
from scheduler.stages.edit_stage import EditStage
from scheduler.stages.score_stage import ScoreStage
from scheduler.store.delivery import Delivery, LedgerEntry
from scheduler.store.run_directory import RunDirectory
from scheduler.store.trace import Trace

log = logging.getLogger("warmbench")

T = TypeVar("T")

_POLL_MS = 200
_POOL_END_SECONDS = 20.0
_READER_THREADS = 4
_ENDING = "scheduler.run.ending"
"""What the end of a run needs; it says when that is imported, and why then."""


class Loop:
    """One run on one pool, with what its stages need (``scheduler.stages.services.Services``).

    ``tenancy`` is the run's stay in the pool, ``switch_seconds`` the time in which models took turns on the devices.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        pool: PoolClient,
        directory: RunDirectory,
        settings: RunSettings,
        course: c.Course,
        interrupts: Interrupts,
        trace: Trace | None = None,
        read_next: Callable[[], None] = lambda: None,
    ) -> None:
        """``read_next`` is called when the last edits are made."""
        self._pool = pool
        self._settings = settings
        self.run = settings.run
        self._course = course
        self._interrupts = interrupts
        self._read_next = read_next
        self._mailbox = Mailbox()
        self.trace = trace
        self._delivery = Delivery(directory.ledger, self._mailbox.post, self._on_disk_failure, trace)
        self._readers = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="reader")
        self._crew = Crew(
            context,
            pool.address,
            run=settings.run,
            specs=settings.specs,
            commands=settings.commands,
            heartbeat_seconds=settings.heartbeat_seconds,
            dead_after_seconds=settings.dead_after_seconds,
            on_message=self._on_message,
            on_withdrawn=self._on_withdrawn,
        )
        self.tenancy = Tenancy(pool, self._crew, settings, self._needed_roles)
        self._ending: Literal["done", "interrupted"] | None = None
        self._failed_pairs: set[str] = set()
        self._error: AbortedError | None = None
        self._switch_began = 0.0
        self.switch_seconds = 0.0
        self._stages_recorded: set[Stage] = set()
        self._edit: EditStage
        self._score: ScoreStage
        self._agenda: Agenda
        self._progress: ProgressDisplay

    def use(self, edit: EditStage, score: ScoreStage, agenda: Agenda, progress: ProgressDisplay) -> None:
        """Set what needs the loop, or the stages, and so comes after it."""
        self._edit, self._score, self._agenda, self._progress = edit, score, agenda, progress

    # -- what the stages need: see Services

    @property
    def epoch(self) -> int:
        return self.tenancy.epoch or 0

    def worker(self, name: str) -> WorkerClient | None:
        return self._crew.get(name)

    def fingerprint(self, role: m.Role) -> str:
        fingerprint = self._crew.fingerprint(role)
        if fingerprint is None:
            raise AbortedError(f"no {role} has reported which model it has")
        return fingerprint

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        def post(future: Future[T]) -> None:
            if future.cancelled():
                return  # the run has ended
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            self._mailbox.post(lambda: then(error if error is not None else future.result()))

        self._readers.submit(function).add_done_callback(post)

    def deliver(self, entry: LedgerEntry) -> None:
        self._progress.note(entry.rows)
        self._delivery.put(entry)

    def failure_recorded(self, key: str) -> None:
        self._failed_pairs.add(key)
        count, limit = len(self._failed_pairs), self._settings.max_failures
        if limit is not None and count > limit:
            self.abort(f"{counted(count, 'pair')} failed, more than the limit of {limit}")

    def abort(self, reason: str) -> None:
        self._error = self._error or AbortedError(reason)

    # -- the loop

    def execute(self) -> Literal["done", "interrupted"]:
        """Run to the end.

        Raises:
            AbortedError: the run cannot go on.
            KeyboardInterrupt: the user wants the run to stop now.
        """
        self._mailbox.wake_on_signals()
        try:
            while self._ending is None:
                self._turn()
            return self._ending
        except (AbortedError, KeyboardInterrupt):
            if self.tenancy.ends_with_run:
                self._pool.stop(now=True)
            raise
        finally:
            self._end()

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._mailbox.fileno(), select.POLLIN)
        self.tenancy.register(poller)
        for client in self._crew:
            poller.register(client.link.socket, zmq.POLLIN)
        ready = dict(poller.poll(_POLL_MS))
        self._mailbox.run()
        try:
            self.tenancy.read()
            self.tenancy.mind_silence()
            self._pool.beat(self._settings.heartbeat_seconds)
            self._mind_end_of_launcher(ready)
            self._crew.attend(ready)
        except CrewError as error:
            raise AbortedError(str(error)) from error
        if self._error is not None:
            raise self._error
        if self._interrupts.count > 1:
            raise KeyboardInterrupt
        if self._interrupts.count:
            self._handle(c.Interrupted())
        for event in self._events():
            self._handle(event)
        self._progress.show(self._course, pool=lambda: self.tenancy.workers, client_of=self._crew.get)

    def _mind_end_of_launcher(self, ready: Mapping[object, int]) -> None:
        """Over TCP, the workers wait for the next launcher, and so does the run, unless it may launch one itself."""
        if not self._pool.has_ended(ready):
            return
        over_tcp = self._pool.address.over_tcp
        if over_tcp and (self._course.begun or not self._pool.replaceable):
            self._pool.await_next()
            return
        self._pool.disconnect()
        name = self._pool.name
        if over_tcp:
            raise PoolEndedError(f"the launcher of pool {name} is gone")
        raise PoolEndedError(f"the launcher of pool {name} is gone, and its workers with it")

    def _on_disk_failure(self, error: Exception) -> None:
        self._error = AbortedError(f"the results can't be written: {error}")

    # -- workers

    def _on_message(self, client: WorkerClient, message: m.AnyMessage, images: list[Buffer]) -> None:
        if _ENDING not in sys.modules:
            self._readers.submit(importlib.import_module, _ENDING)
        if client.role == "editor":
            self._edit.handle(client.name, message, images)
        else:
            self._score.handle(client.name, message)

    def _on_withdrawn(self, client: WorkerClient, died: bool, reason: str | None) -> None:
        stage = self._edit if client.role == "editor" else self._score
        stage.lose(client.name, died=died, reason=reason)

    def _needed_roles(self) -> list[m.Role]:
        finished: dict[m.Role, bool] = {"editor": self._edit.finished, "reward": self._score.finished}
        return [role for role in finished if not finished[role]]

    # -- the course of the run

    def _events(self) -> Iterator[c.Event]:
        """All that is true by now. Each event is acted on before the next one is looked for."""
        course, epoch = self._course, self.tenancy.epoch
        if course.phase == "planning":
            yield c.ModelsKnown(frozenset(role for role in course.needs if self._crew.fingerprint(role) is not None))
        if epoch is None:
            yield c.LeaseMissing()
            return
        yield c.LeaseHeld(self.tenancy.swap)
        if self._edit.finished:
            yield c.EditsOver(scores_left=not self._score.idle)
        if course.phase in ("planning", "done"):
            return
        settled = self._crew.settle(course.desired, epoch)
        if self._edit.nearly_out:
            yield c.LastEdits()
        if self._edit.running_out:
            yield c.EditsRunningOut()
        if settled:
            yield c.WeightsSettled()
        if self._crew.gathered(course.desired):
            yield c.WorkersGathered()
        if self._score.finished:
            yield c.ScoresOver()

    def _handle(self, event: c.Event) -> None:
        for action in self._course.handle(event):
            self._act(action)

    def _act(self, action: c.CourseAction) -> None:
        match action:
            case c.DrawUpPlan(recorded):
                known = {role: self.fingerprint(role) for role in self._course.needs}
                self.read(lambda: self._agenda.draw_up(known, recorded=recorded), self._on_plan)
            case c.TakeIn():
                self._take_in(self._crew.join(self._course.desired))
            case c.RecordWorkers():
                self._agenda.record_workers(self.tenancy)
            case c.ReadEarly(role):
                self._crew.read_early(role, self.epoch)
            case c.ReadNext():
                self._read_next()
            case c.FinishStage(stage):
                self._finish(stage)
            case c.CloseScores():
                self._score.close()
            case c.BeginSwitch():
                log.info("Model switch: editors leave the devices, rewards come onto them")
                self._switch_began = time.time()
                self._crew.dismiss("editor")
            case c.EndSwitch():
                seconds = time.time() - self._switch_began
                self.switch_seconds += seconds
                log.info("Model switch done in %.1f s", seconds)
            case c.DrainStages():
                log.warning("Interrupted: the work on the devices is finished first; interrupt again to stop now")
                self._edit.drain()
                self._score.drain()
            case c.End(interrupted):
                self._ending = "interrupted" if interrupted else "done"
            case c.TakeAnotherPool():
                pass  # the loop of the next pool goes on

    def _on_plan(self, remaining: Remaining | Exception) -> None:
        if isinstance(remaining, Exception):
            self._error = AbortedError(f"what the run has done so far can't be read: {remaining}")
            return
        self._progress.adopt(remaining)
        self.deliver(LedgerEntry(remaining.rows))
        for path in remaining.removable:
            self.deliver(LedgerEntry([], remove=path))

        def adopt() -> None:
            try:
                self._agenda.adopt(remaining, self._edit, self._score, self._progress, self.tenancy)
            except OSError as error:
                self._on_disk_failure(error)
                return
            self._handle(c.PlanRecorded())

        self.deliver(LedgerEntry([], done=adopt))

    def _take_in(self, joining: Sequence[WorkerClient]) -> None:
        self._handle(c.WorkersJoined(frozenset(client.role for client in joining)))
        self._edit.join(*(client.name for client in joining if client.role == "editor"))
        self._score.join(*(client.name for client in joining if client.role == "reward"))

    def _finish(self, stage: Stage) -> None:
        self._progress.finish(stage)
        if stage == "edit":
            shares = ", ".join(f"{name} {count}" for name, count in sorted(self._edit.done_by.items()))
            images = counted(self._edit.done, "image")
            made_by = f" ({shares})" if shares else ""
            log.info("Edit stage completed: %s%s, %d failed", images, made_by, self._edit.failed)
            self._record_stage("edit")

    def _record_stage(self, stage: Stage) -> None:
        """Write the stage's row, once, if anything was done in the stage."""
        clock = self._edit.clock if stage == "edit" else self._score.clock
        if stage in self._stages_recorded or not clock.workers:
            return
        self._stages_recorded.add(stage)
        switched = stage == "score"
        row = clock.row(
            stage,
            switches=self._course.switches if switched else 0,
            switch_seconds=self.switch_seconds if switched else 0.0,
            now=time.time(),
        )
        self.deliver(LedgerEntry([row]))

    # -- the end

    def _end(self) -> None:
        self._crew.leave("the run is over")
        self._readers.shutdown(wait=True, cancel_futures=True)
        for stage in BOTH_STAGES:
            self._record_stage(stage)
        self._delivery.close()
        pool_ends = self.tenancy.ends_with_run
        end = self._pool.end()
        self.tenancy.leave()
        if pool_ends:
            end.wait(_POOL_END_SECONDS)
        end.close()
        self._mailbox.close()
