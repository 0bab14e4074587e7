"""``warmbench run``: from a loaded config to the reports."""

from __future__ import annotations

import logging
import shlex
import time
import uuid
from collections.abc import Callable
from typing import Literal

import zmq
from rich.console import Console

from protocol.pool import PoolError
from scheduler.base.exit_codes import EXIT_ABORTED, EXIT_COMPLETE, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_USAGE
from scheduler.base.interrupts import Interrupts
from scheduler.base.text import counted
from scheduler.benchmark.units import EditUnit
from scheduler.pool.address import PoolAddress, PoolGoneError, PoolUnavailableError
from scheduler.pool.client import PoolClient, find, launch
from scheduler.pool.keeper import PoolKeeper
from scheduler.pool.pool_plan import pool_plan, refuse_unequal
from scheduler.pool.settings import AbortedError, EditorNotLoadedError, PoolEndedError
from scheduler.report.model import Report
from scheduler.run.agenda import Agenda
from scheduler.run.course import Course, PoolEnded, TakeAnotherPool
from scheduler.run.loop import Loop
from scheduler.run.options import RunOptions, resume_command
from scheduler.run.prepare import Prepared
from scheduler.run.progress import ProgressDisplay
from scheduler.run.record import Record
from scheduler.run.resume import from_the_beginning
from scheduler.run.run_settings import run_settings
from scheduler.stages.batches import MAX_UNDELIVERED_SCORES, Batches
from scheduler.stages.edit_stage import EditStage
from scheduler.stages.score_stage import ScoreStage
from scheduler.stages.task import build_task
from scheduler.store.ledger import append_rows, cut_torn_line
from scheduler.store.results import Expected
from scheduler.store.run_directory import RunDirectory, reports_locked
from scheduler.store.trace import Trace
from scheduler.terminal.bars import StageBars

log = logging.getLogger("warmbench")

Ending = Literal["done", "interrupted", "aborted"]


class Run:
    """One evaluation. ``unloadable`` is why no editor could load the model, if that is why the run was aborted;
    ``report`` is what its end has written.
    """

    def __init__(
        self,
        prepared: Prepared,
        directory: RunDirectory,
        console: Console,
        options: RunOptions,
        keeper: PoolKeeper | None = None,
        read_next: Callable[[], None] = lambda: None,
    ) -> None:
        """The ``keeper`` keeps the pool up when the run has left. ``read_next``: see ``Loop``."""
        self._prepared = prepared
        self._config = config = prepared.config
        self._benchmark = prepared.benchmark
        self._layout = prepared.layout
        self._stages = prepared.stages
        self._directory = directory
        self._console = console
        self._options = options
        self._keeper = keeper
        self._read_next = read_next
        self.unloadable: str | None = None
        self.report: Report | None = None
        self._started = time.monotonic()
        self._reuse = reuse = tuple(run for run in prepared.reuse if run.path != directory.path.resolve())
        self._record = Record(prepared, directory, resumed=options.resume, name=options.name, reuse=reuse)
        evaluation = config.evaluation
        self._expected = Expected(
            samples_per_pair=evaluation.samples_per_pair, reward_passes=evaluation.reward_passes, stages=self._stages
        )
        self._task = build_task(config, prepared.benchmark, prepared.protocol)
        # What is taken over depends on the models, as for a resumed run.
        has_plan = options.resume or bool(reuse)
        self._course = Course(self._stages, resumed=has_plan)
        self._agenda = Agenda(
            prepared, self._task, directory, self._record, self._expected, resumed=has_plan, reuse=reuse
        )
        # Unique also among the runs of other output folders.
        self._wire_id = f"{directory.stamp}-{uuid.uuid4().hex[:6]}"

    def execute(self) -> int:
        """Run, write the reports, and return the exit code."""
        try:
            self._open_ledger()
        except OSError as error:
            log.error("The run directory can't be used: %s", error)
            return EXIT_ABORTED
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            # Entered before anything is launched, so that an interrupt leaves no pool behind.
            with Interrupts() as interrupts:
                ending = self._evaluate(context, interrupts)
        except (PoolUnavailableError, PoolError) as error:
            for line in str(error).splitlines():  # the end of the launcher's log may be part of it
                log.error("%s", line)
            return EXIT_USAGE if self._options.no_launch else self._unfinished(EXIT_ABORTED)
        finally:
            # Also closes what an exception left open; lingers for the last messages.
            context.destroy(linger=500)
        written = False
        try:
            self.report = self._report(patient=ending == "done")
            written = True
        except KeyboardInterrupt:
            log.warning("Stopped while the reports were written. To write them: %s", self._report_command())
            return self._unfinished(EXIT_INTERRUPTED)
        except OSError as error:
            log.error("The reports can't be written: %s", error)
            log.warning("The results are in the ledger. To write the reports: %s", self._report_command())
        if ending == "aborted":
            return self._unfinished(EXIT_ABORTED)
        if ending == "interrupted":
            return self._unfinished(EXIT_INTERRUPTED)
        if not written:
            return EXIT_ABORTED
        if "score" not in self._stages:
            command = resume_command(self._options.arguments, self._directory.stamp, stages=("score",))
            log.info("The edits are kept. To score them: %s", command)
        return EXIT_COMPLETE if self.report is not None and self.report.status == "COMPLETE" else EXIT_INCOMPLETE

    def _open_ledger(self) -> None:
        if self._options.resume:
            torn = cut_torn_line(self._directory.ledger)
            if torn:
                log.warning("The ledger's last line was torn (%s): cut off", counted(torn, "byte"))
        else:
            self._record.write()
            if self._reuse:
                plan = from_the_beginning(self._benchmark, self._expected.samples_per_pair)
                append_rows(self._directory.ledger, plan.rows)

    def _report_command(self) -> str:
        return f"warmbench report {shlex.quote(str(self._directory.path))}"

    def _unfinished(self, code: int) -> int:
        log.warning("To resume: %s", resume_command(self._options.arguments, self._directory.stamp))
        return code

    # -- the evaluation

    def _evaluate(self, context: zmq.Context[zmq.Socket[bytes]], interrupts: Interrupts) -> Ending:
        while True:
            try:
                pool = self._attach(context)
            except PoolGoneError as error:
                log.info("%s", error)
                continue
            end = pool.end()
            try:
                return self._evaluate_in(pool, context, interrupts)
            except PoolEndedError as error:
                log.warning("%s, before this run began: waiting for its end, then taking another", error)
                while not interrupts.count and not end.wait(0.2):
                    pass
                if interrupts.count:
                    return "interrupted"
            finally:
                end.close()

    def _evaluate_in(self, pool: PoolClient, context: zmq.Context[zmq.Socket[bytes]], interrupts: Interrupts) -> Ending:
        """Evaluate on this pool; raises PoolEndedError if the run is to begin again in another one."""
        ending: Ending = "aborted"
        with StageBars(self._console) as bars:
            trace = self._trace()
            settings = run_settings(self._prepared, self._wire_id, keep_warm=self._options.keep_warm)
            loop = Loop(context, pool, self._directory, settings, self._course, interrupts, trace, self._read_next)
            reward, limits = self._config.reward_model, self._config.scheduler
            batches = Batches(
                batch_size=reward.batch_size,
                slots=reward.slots,
                max_attempts=limits.max_attempts,
                max_undelivered=MAX_UNDELIVERED_SCORES,
                max_requests=reward.max_requests,
            )
            keep, elsewhere = self._prepared.keeps_images, self._prepared.edits is not None
            score = ScoreStage(loop, self._task, batches, self._image_path, keep_images=keep, made_elsewhere=elsewhere)
            on_edit = score.available if "score" in self._stages else _not_scored
            edit = EditStage(loop, self._task, self._directory, self._agenda.line, on_edit)
            progress = ProgressDisplay(bars, edit, score, self._benchmark.categories, limits.heartbeat_seconds)
            loop.use(edit, score, self._agenda, progress)
            try:
                ending = loop.execute()
            except AbortedError as error:
                ended = PoolEnded(pool.replaceable) if isinstance(error, PoolEndedError) else None
                if ended is not None and TakeAnotherPool() in self._course.handle(ended):
                    raise
                log.error("Aborted: %s", error)
                self.unloadable = str(error) if isinstance(error, EditorNotLoadedError) else None
            except KeyboardInterrupt:
                log.warning("Stopped at once")
                ending = "interrupted"
            finally:
                if trace is not None:
                    trace.close()
        self._agenda.keep_costs(edit, score, loop.tenancy, loop.switch_seconds)
        if self._course.recorded:
            self._record.rewrite_manifest(loop.tenancy)
        return ending

    def _image_path(self, unit: EditUnit) -> str:
        if self._prepared.edits is not None:
            return self._prepared.edits.images[unit]
        return self._directory.image_path(unit.category, unit.pair_id, unit.sample)

    def _trace(self) -> Trace | None:
        if not self._options.trace:
            return None
        try:
            return Trace(self._directory.path / "trace.json")
        except OSError as error:
            log.error("There will be no trace: %s", error)
            return None

    def _attach(self, context: zmq.Context[zmq.Socket[bytes]]) -> PoolClient:
        """Attach to the pool, or launch it."""
        address, silence = self._options.pool, self._config.scheduler.dead_after_seconds
        if address is not None:
            log.info("Attaching to the pool at %s", address.endpoint)
            return PoolClient(context, address, self._wire_id, dead_after_seconds=silence)
        name = self._config.pool_name
        folder, card = find(name)
        if card is None and self._options.no_launch:
            raise PoolUnavailableError(f"pool {name} is not up (looked in {folder}), and --no-launch was given")
        launched = card is None
        if card is None:
            plan = pool_plan(self._config, self._layout, keep=self._options.keep_warm)
            log.info("Launching pool %s: %s", name, self._assignment())
            for notice in self._layout.notices:
                log.info("%s", notice)
            self._agenda.pool_launched()
            card = launch(folder, plan)
        else:
            refuse_unequal(name, card, self._config)
            log.info("Attaching to pool %s, up since %s", name, time.ctime(card.started))
        address = PoolAddress.here(name, folder, card)
        if self._keeper is not None:
            self._keeper.keep(address, self._wire_id)
        return PoolClient(
            context,
            address,
            self._wire_id,
            attached=not launched,
            replaceable=not launched and not self._options.no_launch,
            dead_after_seconds=silence,
        )

    def _assignment(self) -> str:
        editors = [f"editor-{number} on {device}" for number, device in enumerate(self._layout.editors)]
        rewards = [f"reward-{number} on {device}" for number, device in enumerate(self._layout.rewards)]
        return ", ".join([*editors, *rewards, f"residency {self._layout.residency}"])

    # -- the reports

    def _report(self, *, patient: bool) -> Report | None:
        """Write the reports and show the table, also that of reports that cannot be written.

        Raises:
            OSError: the reports cannot be written.
        """
        if self._options.resume and not self._course.recorded:
            log.warning("Nothing was done: the reports stay as they are")
            return None
        from scheduler.run.ending import write_and_show  # see there

        # `warmbench report` may write them at the same time, in another process.
        with reports_locked(self._directory.path, patient=False):
            return write_and_show(
                self._prepared,
                self._directory,
                self._record.manifest,
                self._expected,
                self._console,
                time.monotonic() - self._started,
                patient=patient,
            )


def _not_scored(unit: EditUnit, sha256: str) -> None:
    """Nothing follows an edit where only edits are asked for."""
