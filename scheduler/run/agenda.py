"""The plan of a run: all of its benchmark, or what an earlier part of the run has left."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from msgspec import structs

from protocol import messages as m
from protocol.pool import home
from scheduler.base.files import read_json, remove_file
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.benchmark.units import EditUnit, Units
from scheduler.config.checks.thoughts import thoughts_refused
from scheduler.pool.settings import AbortedError
from scheduler.pool.tenancy import Tenancy
from scheduler.run.admission import Admission
from scheduler.run.planner import Remaining
from scheduler.run.prepare import Prepared
from scheduler.run.progress import ProgressDisplay
from scheduler.run.record import Record
from scheduler.run.resume import Resumption, from_the_beginning
from scheduler.run.resume_summary import reuse_lines, summary
from scheduler.run.reuse import Offers, OtherRun
from scheduler.stages.costs import KnownCosts, by_cost
from scheduler.stages.edit_stage import EditStage
from scheduler.stages.estimate import Forecast, kind_of
from scheduler.stages.rounds import MAX_UNDELIVERED_EDITS, Rounds
from scheduler.stages.score_stage import ScoreStage
from scheduler.stages.task import Task
from scheduler.store.checked_rows import checked_rows
from scheduler.store.ledger import read_ledger
from scheduler.store.results import Expected
from scheduler.store.rows import FailedRow, Row
from scheduler.store.run_directory import RunDirectory
from scheduler.store.tally import OUTDATED
from workers.models.thoughts import USE_GENERATE

log = logging.getLogger("warmbench")

_FIRST = 20
"""How many edits that cannot be judged are logged one by one."""


class Agenda:
    """Draws up the plan once the models it depends on are known, and sets the stages to it."""

    def __init__(
        self,
        prepared: Prepared,
        task: Task,
        directory: RunDirectory,
        record: Record,
        expected: Expected,
        *,
        resumed: bool,
        reuse: Sequence[OtherRun] = (),
    ) -> None:
        """``reuse``: runs whose results may be taken over. Such a run is a ``resumed`` one: its plan is recorded."""
        self._prepared = prepared
        self._config = prepared.config
        self._benchmark = prepared.benchmark
        self._stages = prepared.stages
        self._task = task
        self._directory = directory
        self._record = record
        self._expected = expected
        self._resume = resumed
        self._reuse = reuse
        layout = prepared.layout
        kinds: dict[m.Role, str] = {"editor": kind_of(layout.editors), "reward": kind_of(layout.rewards)}
        self._forecast = Forecast(prepared.config, KnownCosts(home() / ".costs.json"), kinds)
        self.line = self._forecast.line
        self._launched: float | None = None

    def pool_launched(self) -> None:
        """The run now waits for the models of a pool that it has launched."""
        self._launched = time.time()

    def draw_up(self, fingerprints: Mapping[m.Role, str], *, recorded: bool) -> Remaining:
        """Work out what there is to do. Reads the ledger and images: not for the loop's thread. ``recorded``: this part
        of the run has its plan in the ledger already, and now begins in another pool.

        Raises:
            OSError: the ledger or an existing image cannot be read.
        """
        remaining = self._remaining(fingerprints, recorded)
        # Before the ledger changes: a run that is killed in between finds them again.
        for thumbnail in remaining.stale:
            with contextlib.suppress(OSError):
                remove_file(thumbnail)
        return remaining

    def _remaining(self, fingerprints: Mapping[m.Role, str], recorded: bool) -> Remaining:
        known = (self._benchmark, self._task, self._directory, self._expected)
        reward = fingerprints.get("reward")
        offers = self._offers(fingerprints.get("editor"))
        if self._prepared.edits is not None:
            admission = Admission(*known, self._prepared.edits, reward=reward, offers=offers)
            return admission.remaining(self._recorded_rows() if self._resume or recorded else ())
        if not self._resume:
            everything = from_the_beginning(self._benchmark, self._expected.samples_per_pair)
            return structs.replace(everything, rows=()) if recorded else everything
        editor, keep_images = fingerprints.get("editor"), self._prepared.keeps_images
        resumption = Resumption(*known, editor=editor, reward=reward, keep_images=keep_images, offers=offers)
        return resumption.remaining(self._recorded_rows())

    def _offers(self, editor: str | None) -> Offers:
        offers = Offers()
        for run in self._reuse:
            if not run.may_have_edits_of(editor):
                continue
            try:
                offers.add(run)
            except OSError as error:
                raise OSError(f"{run.name}, which --reuse names: {error}") from error
        return offers

    def _recorded_rows(self) -> Iterator[Row]:
        """The ledger, checked by the manifest of the part that wrote it: this part may have another scale."""
        manifest = read_json(self._directory.path / "manifest.json")
        return checked_rows(read_ledger(self._directory.ledger), self._directory.path, manifest)

    def adopt(
        self, remaining: Remaining, edit: EditStage, score: ScoreStage, progress: ProgressDisplay, tenancy: Tenancy
    ) -> None:
        """Set the stages to the plan, whose rows are in the ledger by now.

        Raises:
            OSError: the run's record cannot be written.
        """
        if self._resume:
            self._record.manifest["left_out"] = remaining.left_out
            self._record.note_pool(tenancy)
            lines = (*summary(remaining, self._stages), *self._record.differences())
            for line in (*lines, *reuse_lines(remaining, self._reuse, self._record.manifest)):
                log.info("%s", line)
            self._record.write()
        if self._prepared.edits is not None:
            _log_refused(remaining, self._prepared.edits)
        params, scheduler = self._config.diffusion_model.params, self._config.scheduler
        if "edit" in self._stages:
            mode = "rounds with barriers" if params.enable_batch_sync else "free running, no barriers"
            log.info("Synchronization: %s, round size %d", mode, scheduler.round_size)
        ordered = by_cost(remaining.edits, self._pixels, self.line)
        self._log_estimate(ordered, remaining, tenancy)
        rounds = Rounds(
            ordered,
            synchronized=params.enable_batch_sync,
            round_size=scheduler.round_size,
            max_attempts=scheduler.max_attempts,
            max_undelivered=MAX_UNDELIVERED_EDITS,
        )
        edit.begin(rounds, reused=remaining.reused_edits)
        score.begin(remaining.scores, remaining.answers, reused=remaining.complete_scores)
        if "edit" in self._stages:
            edits = len(self._benchmark.pairs) * self._expected.samples_per_pair
            progress.start("edit", edits, done=remaining.reused_edits)
        if "score" in self._stages:
            units = remaining.units_of_reused_edits + self._task.judging.count(remaining.edits)
            progress.start("score", units, done=remaining.reused_scores)
            for unit, sha256 in remaining.delivered:
                score.available(unit, sha256)

    def _log_estimate(self, edits: Units, remaining: Remaining, tenancy: Tenancy) -> None:
        units = 0
        if "score" in self._stages:
            units = sum(remaining.score_reasons.values()) or self._task.judging.count(edits)
        estimate = self._forecast.estimate(
            [self._pixels(unit) / 1e6 for unit in edits],
            units,
            {role: len(devices) for role, devices in tenancy.devices.items()},
            one_after_the_other=tenancy.swap,
            loaded=self._launched is None,
        )
        if estimate is not None:
            log.info("%s", estimate)

    def _pixels(self, unit: EditUnit) -> int:
        return self._task.source_pixels(unit)

    def keep_costs(self, edit: EditStage, score: ScoreStage, tenancy: Tenancy, switch_seconds: float) -> None:
        """Keep what the edits, the scores and loading cost, for the estimates of later runs."""
        self._forecast.learn(edit.clock, edit.done, score.clock, score.done)
        began = [clock.started for clock in (edit.clock, score.clock) if clock.started is not None]
        if self._launched is not None and began and (switch_seconds or not tenancy.swap):
            workers = {role: len(devices) for role, devices in tenancy.devices.items()}
            self._forecast.learn_loading(max(0.0, min(began) - self._launched) + switch_seconds, workers)

    def record_workers(self, tenancy: Tenancy) -> None:
        """Write down which models work: even a run that is killed says what it began with.

        Raises:
            AbortedError: a model that was downloaded only now can't be used as the config says.
        """
        self._record.rewrite_manifest(tenancy)
        reason = thoughts_refused(self._config.reward_model) if "score" in self._stages else None
        if reason is not None:
            raise AbortedError(f"reward_model.params.scoring: {reason}; {USE_GENERATE}")


def _log_refused(remaining: Remaining, edits: EditsElsewhere) -> None:
    failed = [row for row in remaining.rows if isinstance(row, FailedRow) and row.stage == "edit"]
    refused = [row for row in failed if row.kind != OUTDATED]
    for row in refused[:_FIRST]:
        log.warning("%s/%s has no edit to judge (%s): %s", row.category, row.pair_id, row.kind, row.message)
    if len(refused) > _FIRST:
        log.warning("... and %d more have none, all of them in the report", len(refused) - _FIRST)
    log.info("Edits to be judged: %d of %d", remaining.reused_edits, edits.asked)
