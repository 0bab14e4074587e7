"""What a run has to do: all of its benchmark, or what an earlier part of it has left."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

import msgspec

from protocol import messages as m
from protocol.pool import home
from scheduler.benchmark import Benchmark
from scheduler.config import Config
from scheduler.config.requests import edit_parameters, editor_spec
from scheduler.costs import KnownCosts, by_cost
from scheduler.edit_stage import EditStage
from scheduler.ledger import read_ledger
from scheduler.record import Record
from scheduler.report import Expected
from scheduler.resume import Remaining, Resumption, from_the_beginning, summary
from scheduler.rounds import MOST_LANDING, Rounds
from scheduler.run_directory import RunDirectory
from scheduler.score_stage import ScoreStage
from scheduler.task import Task
from scheduler.tenancy import Tenancy
from scheduler.terminal import StageBars
from scheduler.units import EditUnit

log = logging.getLogger("warmbench")


class Agenda:
    """Worked out before anything begins, once the models it depends on are known; the stages are then set to it."""

    def __init__(
        self,
        config: Config,
        benchmark: Benchmark,
        task: Task,
        directory: RunDirectory,
        record: Record,
        expected: Expected,
        *,
        kind: str,
        resume: bool,
    ) -> None:
        """``kind`` is what the editors' devices are: ``cuda`` or ``cpu``."""
        self._config = config
        self._benchmark = benchmark
        self._task = task
        self._directory = directory
        self._record = record
        self._expected = expected
        self._resume = resume
        self._costs = KnownCosts(home() / ".costs.json")
        self._made_so = {
            "editor": msgspec.to_builtins(editor_spec(config)),
            "parameters": edit_parameters(config),
            "device": kind,
        }
        self.line = self._costs.line(self._made_so)
        self.adopted = False

    @property
    def needs(self) -> Collection[m.Role]:
        """The roles whose fingerprints it takes."""
        return ("editor", "reward") if self._resume else ()

    def draw_up(self, fingerprints: Mapping[m.Role, str]) -> Remaining:
        """Find out what there is to do. Reads the ledger and images: not for the loop's thread.

        Raises:
            OSError: the ledger or an image that is there can't be read.
        """
        if not self._resume:
            found = from_the_beginning(self._benchmark, self._expected.samples_per_pair)
            # In a second pool, where the first one ended before anything began, the rows are written already.
            return replace(found, rows=()) if self.adopted else found
        resumption = Resumption(
            self._benchmark,
            self._task,
            self._directory,
            self._expected,
            editor=fingerprints["editor"],
            reward=fingerprints["reward"],
            keep_images=self._config.evaluation.save_generated_images,
        )
        return resumption.remaining(read_ledger(self._directory.ledger))

    def adopt(
        self, remaining: Remaining, edit: EditStage, score: ScoreStage, bars: StageBars, tenancy: Tenancy
    ) -> None:
        """Set the stages to what there is to do, whose rows are in the ledger by now.

        Raises:
            OSError: the run's record can't be written.
        """
        if self._resume:
            self._record.manifest["left_out"] = remaining.left_out
            self._record.note_pool(tenancy)
            for line in (*summary(remaining), *self._record.differences()):
                log.info("%s", line)
            self._record.write()
        params, scheduler = self._config.diffusion_model.params, self._config.scheduler
        mode = "rounds with barriers" if params.enable_batch_sync else "free running, no barriers"
        log.info("Synchronization: %s, round size %d", mode, scheduler.round_size)
        rounds = Rounds(
            by_cost(remaining.edits, self._pixels, self.line),
            synchronized=params.enable_batch_sync,
            round_size=scheduler.round_size,
            max_attempts=scheduler.max_attempts,
            most_landing=MOST_LANDING,
        )
        edit.begin(rounds, reused=remaining.reused_edits)
        score.begin(remaining.scores, reused=remaining.reused_scores)
        edits = len(self._benchmark.pairs) * self._expected.samples_per_pair
        bars.start("edit", edits, done=remaining.reused_edits)
        bars.start("score", edits * self._expected.reward_passes, done=remaining.reused_scores)
        for unit, image in remaining.delivered:
            score.available(unit, image)
        self.adopted = True

    def _pixels(self, unit: EditUnit) -> int:
        width, height = self._task.pairs[unit.key].source.size
        return width * height

    def keep_costs(self) -> None:
        """Keep for later runs what was learned."""
        if self.line.count:
            self._costs.keep(self._made_so, self.line)

    def begun(self, tenancy: Tenancy) -> None:
        """The first worker of a role has joined: should the run be killed, its record says with what it began."""
        self._record.note_pool(tenancy)
        self._record.rewrite_manifest()
