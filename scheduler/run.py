"""``warmbench run``: from a loaded config to the reports."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import zmq
from rich.console import Console

from protocol.pool import PoolError
from scheduler.batches import Batches
from scheduler.benchmark import BadPair, Benchmark, Pair
from scheduler.config import Config
from scheduler.config.requests import edit_parameters, editor_spec, reward_spec, score_parameters
from scheduler.delivery import Item
from scheduler.devices import Layout
from scheduler.edit_stage import EditSettings, EditStage
from scheduler.evaluation import Evaluation
from scheduler.interrupts import Interrupts
from scheduler.ledger_rows import FailedRow, Planned, Row, decode_row
from scheduler.logs import format_duration
from scheduler.manifest import add_workers, build_manifest
from scheduler.pool_client import PoolClient, PoolUnavailableError, find, launch
from scheduler.pool_plan import pool_plan
from scheduler.report import Expected, Report, build_report, write_reports
from scheduler.rounds import Rounds
from scheduler.run_directory import RunDirectory
from scheduler.score_stage import ScoreSettings, ScoreStage
from scheduler.services import AbortedError, LoopSettings
from scheduler.terminal import StageBars, print_summary
from scheduler.units import EditUnit

log = logging.getLogger("warmbench")

EXIT_COMPLETE, EXIT_ABORTED, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

Ending = Literal["done", "interrupted", "aborted"]


@dataclass(frozen=True)
class RunOptions:
    """What the command line says beside the config."""

    keep_warm: bool = False
    no_launch: bool = False


class Run:
    """One evaluation."""

    def __init__(
        self,
        config: Config,
        benchmark: Benchmark,
        layout: Layout,
        directory: RunDirectory,
        console: Console,
        options: RunOptions,
    ) -> None:
        self._config = config
        self._benchmark = benchmark
        self._layout = layout
        self._directory = directory
        self._console = console
        self._options = options
        self._started = time.monotonic()
        self._manifest = build_manifest(config, benchmark, layout, directory.stamp)
        # The id on the wire is unique also among runs of other output folders.
        self._wire_id = f"{directory.stamp}-{uuid.uuid4().hex[:6]}"

    def execute(self) -> int:
        """Run, write the reports, and return the exit code."""
        (self._directory.path / "config.yaml").write_text(self._config.as_resolved_yaml(), encoding="utf-8")
        self._directory.write_json("manifest.json", self._manifest)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            # Before anything is launched: whatever the user interrupts, the pool is left in order.
            with Interrupts() as interrupts:
                ending = self._evaluate(context, interrupts)
        except (PoolUnavailableError, PoolError) as error:
            log.error("%s", error)
            return EXIT_USAGE if self._options.no_launch else EXIT_ABORTED
        finally:
            # Closes what an exception left open, too; a moment for the last messages to leave.
            context.destroy(linger=500)
        report = self._report()
        if ending == "aborted":
            return EXIT_ABORTED
        if ending == "interrupted":
            return EXIT_INTERRUPTED
        return EXIT_COMPLETE if report.status == "COMPLETE" else EXIT_INCOMPLETE

    # -- the evaluation

    def _evaluate(self, context: zmq.Context[zmq.Socket[bytes]], interrupts: Interrupts) -> Ending:
        pool = self._attach(context)
        units = [
            EditUnit(pair.category, pair.pair_id, sample)
            for pair in self._benchmark.pairs
            for sample in range(self._config.evaluation.samples_per_pair)
        ]
        passes = self._config.evaluation.reward_passes
        ending: Ending = "aborted"
        with StageBars(self._console) as bars:
            evaluation = Evaluation(context, pool, self._directory, self._loop_settings(), bars, interrupts)
            edit, score = self._stages(evaluation, units)
            evaluation.use(edit, score)
            for row in self._planned():
                evaluation.deliver(Item([row]))
            bars.start("edit", len(units))
            bars.start("score", len(units) * passes)
            try:
                ending = evaluation.execute(lambda: self._stage_rows(evaluation, edit, score))
            except AbortedError as error:
                log.error("Aborted: %s", error)
            except KeyboardInterrupt:
                log.warning("Stopped at once")
                ending = "interrupted"
        add_workers(self._manifest, evaluation.tenancy.workers)
        self._manifest["residency"] = "swap" if evaluation.tenancy.swap else "resident"
        self._manifest["devices"] = {f"{role}s": list(found) for role, found in evaluation.tenancy.devices.items()}
        try:
            self._directory.write_json("manifest.json", self._manifest)
        except OSError as error:
            log.error("The manifest can't be written: %s", error)
        return ending

    def _attach(self, context: zmq.Context[zmq.Socket[bytes]]) -> PoolClient:
        name = self._config.pool_name
        folder, card = find(name)
        if card is None and self._options.no_launch:
            raise PoolUnavailableError(f"pool {name} is not up (looked in {folder}), and --no-launch was given")
        if card is None:
            plan = pool_plan(self._config, self._layout, keep=self._options.keep_warm)
            log.info("Launching pool %s: %s", name, self._assignment())
            card = launch(folder, plan)
        else:
            log.info("Attaching to pool %s, up since %s", name, time.ctime(card.started))
        return PoolClient(context, name, folder, card, self._wire_id)

    def _assignment(self) -> str:
        editors = ", ".join(f"editor-{number} on {device}" for number, device in enumerate(self._layout.editors))
        rewards = ", ".join(f"reward-{number} on {device}" for number, device in enumerate(self._layout.rewards))
        return f"{editors}, {rewards}, residency {self._layout.residency}"

    def _loop_settings(self) -> LoopSettings:
        times = self._config.scheduler
        limit = times.max_failures
        if isinstance(limit, float):
            limit = math.floor(limit * len(self._benchmark.pairs))
        return LoopSettings(
            run=self._wire_id,
            swap=self._layout.residency == "swap",
            swap_if_shared=times.residency == "auto",
            devices={"editor": self._layout.editors, "reward": self._layout.rewards},
            keep_warm=self._options.keep_warm,
            heartbeat_seconds=times.heartbeat_seconds,
            dead_after_seconds=times.dead_after_seconds,
            max_failures=limit,
            specs={"editor": editor_spec(self._config), "reward": reward_spec(self._config)},
        )

    def _stages(self, evaluation: Evaluation, units: list[EditUnit]) -> tuple[EditStage, ScoreStage]:
        config = self._config
        editor, reward = config.diffusion_model.params, config.reward_model.params
        pairs = {pair.key: pair for pair in self._benchmark.pairs}
        mode = "rounds with barriers" if editor.enable_batch_sync else "free running, no barriers"
        log.info("Synchronization: %s, round size %d", mode, config.scheduler.round_size)
        rounds = Rounds(
            units,
            synchronized=editor.enable_batch_sync,
            round_size=config.scheduler.round_size,
            max_attempts=config.scheduler.max_attempts,
        )
        score = ScoreStage(
            evaluation,
            Batches(batch_size=reward.effective_batch_size, max_attempts=config.scheduler.max_attempts),
            pairs,
            ScoreSettings(
                parameters=score_parameters(config),
                with_source=reward.compare_with_original,
                score_range=(float(reward.score_range[0]), float(reward.score_range[1])),
                passes=config.evaluation.reward_passes,
                keep_images=config.evaluation.save_generated_images,
            ),
            config.prompts.for_category,
        )
        settings = EditSettings(edit_parameters(config), editor.seed)
        edit = EditStage(evaluation, rounds, pairs, settings, self._directory, score.available)
        return edit, score

    def _planned(self) -> Iterator[Row]:
        for item in self._benchmark.items:
            yield _planned_row(item)
            if isinstance(item, BadPair):
                yield FailedRow(
                    category=item.category,
                    pair_id=item.pair_id,
                    sample=None,
                    stage="load",
                    kind=item.kind,
                    message=item.message,
                )

    @staticmethod
    def _stage_rows(evaluation: Evaluation, edit: EditStage, score: ScoreStage) -> list[Row]:
        now = time.time()
        rows: list[Row] = []
        if edit.clock.workers:
            rows.append(edit.clock.row("edit", switches=0, switch_seconds=0.0, now=now))
        if score.clock.workers:
            rows.append(
                score.clock.row(
                    "score", switches=evaluation.switches, switch_seconds=evaluation.switch_seconds, now=now
                )
            )
        return rows

    # -- the reports

    def _report(self) -> Report:
        evaluation = self._config.evaluation
        expected = Expected(samples_per_pair=evaluation.samples_per_pair, reward_passes=evaluation.reward_passes)
        with self._directory.ledger.open("rb") as file:
            report = build_report(_rows(file), manifest=self._manifest, expected=expected)
        for category, group in report.categories.items():
            mean = "-" if group.statistics.mean is None else f"{group.statistics.mean:.3f}"
            log.info("%s: %d of %d scored, mean %s", category, group.statistics.num_samples, group.num_pairs, mean)
        try:
            paths = write_reports(report, evaluation.output_dir, self._directory.stamp, evaluation.metrics)
        except OSError as error:
            log.error("The reports can't be written: %s", error)
            return report
        for path in paths:
            log.info("Report: %s", path)
        seconds = time.monotonic() - self._started
        log.info("Total time: %s", format_duration(seconds))
        print_summary(self._console, report, paths, seconds, metrics=evaluation.metrics)
        return report


def _planned_row(item: Pair | BadPair) -> Planned:
    return Planned(
        category=item.category,
        pair_id=item.pair_id,
        source_sha256=item.sha256 if isinstance(item, Pair) else None,
        instruction=item.instruction,
        description=item.description,
    )


def _rows(lines: Any) -> Iterator[Row]:
    """The ledger's rows. A last line that was torn by a crash or a full disk is passed over."""
    for line in lines:
        try:
            yield decode_row(line)
        except msgspec.DecodeError:
            if line.endswith(b"\n"):
                raise
            log.warning("The ledger's last line is torn: passed over")
