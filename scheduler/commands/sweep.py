"""``warmbench run --editor-models``: a run of each checkpoint, one after the other, on workers that stay warm."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from scheduler.base.exit_codes import EXIT_ABORTED, EXIT_COMPLETE, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_USAGE
from scheduler.base.text import counted, one_line
from scheduler.commands.dry_run import show_dry_run
from scheduler.commands.evaluation import Evaluator, options_of, own_problem
from scheduler.commands.start_run import (
    USAGE_ERRORS,
    UsageError,
    checked,
    overrides_of,
    pool_elsewhere,
)
from scheduler.config.checks.environment import Environment
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from scheduler.pool.address import PoolAddress
from scheduler.report.run_index import summarize
from scheduler.report.saved_run import read_run
from scheduler.report.series.writing import write_series
from scheduler.run.options import resume_command
from scheduler.run.sweep_order import Checkpoint, Sweep
from scheduler.store.sweeps import SweepDirectory, SweepEntry, SweepFile, find_sweep, read_sweep
from scheduler.store.titles import run_title
from scheduler.terminal.run_table import run_cells, run_table
from scheduler.terminal.say import say
from scheduler.terminal.table import print_table


def check_and_sweep(options: argparse.Namespace) -> int:
    """Evaluate every checkpoint, or show what would be done; return the exit code."""
    console = Console(highlight=False)
    try:
        models = expand(options.editor_models)
        address = pool_elsewhere(options)
        config = load_config(options.config, overrides_of(options_of(options, models[0], None, None)))
        output_dir = config.evaluation.output_dir
        if options.dry_run:
            return _show(options, console, models, address, output_dir)
        directory, earlier = _open(options, output_dir)
    except USAGE_ERRORS as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    with closing(directory):
        known = earlier.checkpoints if earlier is not None else ()
        sweep = Sweep(models, options.stages, map(_checkpoint, known))
        work = _Work(options, console, address, output_dir, directory, sweep)
        if earlier is not None:
            work.started = earlier.started
        return work.execute()


def expand(names: Sequence[str]) -> list[str]:
    """Return the checkpoints that these names and patterns stand for, each once. Raises ``UsageError``."""
    models: list[str] = []
    for name in names:
        if not any(character in name for character in "*?[") or Path(name).exists():
            models.append(os.path.normpath(name) if Path(name).is_dir() else name)
            continue
        folders = [os.path.normpath(match) for match in glob.glob(name) if Path(match).is_dir()]  # noqa: PTH207 - a pattern may be absolute
        if not folders:
            raise UsageError(f"--editor-models: no folder matches {one_line(name)}")
        models += folders
    return list(dict.fromkeys(models))


def _open(options: argparse.Namespace, output_dir: Path) -> tuple[SweepDirectory, SweepFile | None]:
    try:
        if options.resume is None:
            return SweepDirectory.create(output_dir), None
        directory = SweepDirectory.reopen(output_dir, options.resume)
        return directory, directory.read()
    except OSError as error:
        raise UsageError(f"the output can't be written: {error}") from error


def _checkpoint(entry: SweepEntry) -> Checkpoint:
    stages = tuple(stage for stage in ("edit", "score") if stage in entry.stages)
    return Checkpoint(entry.model, entry.run, entry.code, entry.reason, stages)


class _Work:
    """Carries out what ``Sweep`` decides, and keeps ``sweep.json``."""

    def __init__(
        self,
        options: argparse.Namespace,
        console: Console,
        address: PoolAddress | None,
        output_dir: Path,
        directory: SweepDirectory,
        sweep: Sweep,
    ) -> None:
        self.started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._options = options
        self._console = console
        self._output_dir = output_dir
        self._directory = directory
        self._sweep = sweep
        self._evaluator = Evaluator(options, console, address)

    def execute(self) -> int:
        """Evaluate what is left, show the table, and return the exit code."""
        code = None
        try:
            self._write()
            while (checkpoint := self._sweep.next()) is not None:
                self._evaluate(checkpoint)
        except KeyboardInterrupt:
            self._sweep.interrupt()
        except USAGE_ERRORS as error:
            print(error, file=sys.stderr)
            if not self._evaluator.any_began:
                return self._nothing_was_run()
            code = EXIT_ABORTED
        except OSError as error:
            print(f"{self._directory.path} can't be written: {error}", file=sys.stderr)
            code = EXIT_ABORTED
        finally:
            self._evaluator.close()
        return self._finish(self._sweep.exit_code if code is None else code)

    def _evaluate(self, checkpoint: Checkpoint) -> None:
        """Evaluate a checkpoint. Raises one of ``USAGE_ERRORS`` if no checkpoint can be evaluated like this."""
        model = checkpoint.model
        say(self._console, f"Checkpoint {model}: {counted(self._sweep.left, 'checkpoint')} left")

        def began(run: str) -> None:
            self._sweep.began(model, run)
            self._write()

        options = options_of(self._options, model, checkpoint.run, self._output_dir)
        outcome = self._evaluator.evaluate(options, began, self._sweep.following)
        self._sweep.ended(model, outcome.code, outcome.reason)
        self._write()
        outcome.announce()

    def _nothing_was_run(self) -> int:
        if self._options.resume is None and not any(one.run for one in self._sweep.checkpoints):
            self._directory.discard()
        return EXIT_USAGE

    def _write(self) -> None:
        entries = [
            SweepEntry(model=one.model, run=one.run, code=one.code, reason=one.reason, stages=one.stages)
            for one in self._sweep.checkpoints
        ]
        self._directory.write(self.started, sys.argv, entries)

    def _finish(self, code: int) -> int:
        checkpoints = self._sweep.checkpoints
        print_table(self._console, run_table(self._row(checkpoint) for checkpoint in checkpoints))
        for checkpoint in checkpoints:
            if checkpoint.reason is not None:
                say(self._console, f"{checkpoint.model} was not loaded: {one_line(checkpoint.reason, 400)}")
        say(self._console, f"Sweep: {self._directory.path}", *(self._series() if code != EXIT_INTERRUPTED else ()))
        if code != EXIT_COMPLETE and not all(one.is_finished(self._options.stages) for one in checkpoints):
            command = resume_command(self._options.given, self._directory.stamp)
            say(self._console, f"To go on with what is missing: {command}")
        return code

    def _series(self) -> list[str]:
        """Write the series of all runs, and return what is to be said about it."""
        evaluated = [one.run for one in self._sweep.checkpoints if one.run is not None and one.code != EXIT_USAGE]
        if not evaluated:
            return []
        folder = self._directory.path / "series"
        try:
            write_series([self._output_dir / "runs" / run for run in evaluated], folder)
        except (OSError, ValueError) as error:
            return [f"The series can't be written: {error}"]
        return [f"Series of {counted(len(evaluated), 'run')}: {folder / 'series.html'}"]

    def _row(self, checkpoint: Checkpoint) -> list[str]:
        title = run_title({"editor": {"model_name": checkpoint.model}}, checkpoint.model)
        if checkpoint.code == EXIT_USAGE:
            return [title, checkpoint.run or "", "NOT LOADED"]
        if checkpoint.run is None:
            return [title, "", "WAITING"]
        try:
            return run_cells(summarize(read_run(self._output_dir / "runs" / checkpoint.run, self._output_dir)))
        except (OSError, ValueError) as error:
            return [title, checkpoint.run, "UNREADABLE", one_line(str(error), 60)]


def _show(
    options: argparse.Namespace,
    console: Console,
    models: Sequence[str],
    address: PoolAddress | None,
    output_dir: Path,
) -> int:
    """Check every checkpoint, and all else once. Raises one of ``USAGE_ERRORS``."""
    known: Sequence[SweepEntry] = ()
    if options.resume is not None:
        known = read_sweep(find_sweep(output_dir, options.resume)).checkpoints
    sweep = Sweep(models, options.stages, map(_checkpoint, known))
    good: list[Checkpoint] = []
    left = [checkpoint for checkpoint in sweep.checkpoints if not checkpoint.is_finished(options.stages)]
    for checkpoint in left:
        try:
            overrides = overrides_of(options_of(options, checkpoint.model, None, None))
            load_config(options.config, overrides, Environment(gpus=None, stages=options.stages, data=False))
        except ConfigError as error:
            if not own_problem(error):
                raise
            print(error, file=sys.stderr)
        else:
            good.append(checkpoint)
    if left and not good:
        return EXIT_USAGE
    complete = True
    if good:
        first = options_of(options, good[0].model, good[0].run, output_dir)
        complete = show_dry_run(console, checked(first, address), first.resume)
    finished = len(sweep.checkpoints) - len(left)
    say(
        console,
        f"Sweep: {counted(len(sweep.checkpoints), 'checkpoint')}, {finished} finished, {len(good)} to be evaluated, "
        f"{len(left) - len(good)} that can't be loaded",
        *(f"  {checkpoint.model}" for checkpoint in good),
    )
    return EXIT_COMPLETE if complete and len(good) == len(left) else EXIT_INCOMPLETE
