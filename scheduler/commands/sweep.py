"""``warmbench run --editor-models``: a run of each checkpoint, one after the other, on workers that stay warm."""

from __future__ import annotations

import argparse
import glob
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from scheduler.base.text import counted, one_line
from scheduler.commands.dry_run import show_dry_run
from scheduler.commands.start_run import (
    USAGE_ERRORS,
    UsageError,
    checked,
    evaluate,
    log_start,
    open_directory,
    overrides_of,
    pool_elsewhere,
    run_options,
)
from scheduler.config.checks.environment import Environment
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from scheduler.pool.address import PoolAddress
from scheduler.pool.keeper import PoolKeeper
from scheduler.report.run_index import summarize
from scheduler.report.saved_run import read_run
from scheduler.run.options import of_one_checkpoint, resume_command
from scheduler.run.run import EXIT_ABORTED, EXIT_COMPLETE, EXIT_INCOMPLETE, EXIT_USAGE, Run
from scheduler.run.sweep_order import Checkpoint, Sweep
from scheduler.store.ledger import LEDGER
from scheduler.store.sweeps import SweepDirectory, SweepEntry, SweepFile, find_sweep, read_sweep
from scheduler.store.titles import run_title
from scheduler.terminal.run_table import run_cells, run_table
from scheduler.terminal.say import say
from scheduler.terminal.table import print_table

_OF_THE_CHECKPOINT = tuple(f"diffusion_model.params.{key}" for key in ("model_name", "optimizations", "lora", "images"))
"""The keys whose problems may be those of one checkpoint alone."""


def check_and_sweep(options: argparse.Namespace) -> int:
    """Evaluate every checkpoint, or show what would be done; return the exit code."""
    console = Console(highlight=False)
    try:
        models = expand(options.editor_models)
        address = pool_elsewhere(options)
        config = load_config(options.config, overrides_of(_of_one(options, Checkpoint(models[0]), None)))
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


def _of_one(options: argparse.Namespace, checkpoint: Checkpoint, output_dir: Path | None) -> argparse.Namespace:
    """Return the options of this checkpoint's run, which is resumed if it has a ledger."""
    has_ledger = checkpoint.run and output_dir and (output_dir / "runs" / checkpoint.run / LEDGER).is_file()
    title = os.path.basename(checkpoint.model) or checkpoint.model  # noqa: PTH119 - may be no path
    changed = {
        "editor_model": checkpoint.model,
        "resume": checkpoint.run if has_ledger else None,
        "name": f"{options.name} {title}" if options.name else None,
        "given": of_one_checkpoint(options.given, checkpoint.model),
    }
    return argparse.Namespace(**{**vars(options), **changed})


def _checkpoint(entry: SweepEntry) -> Checkpoint:
    stages = tuple(stage for stage in ("edit", "score") if stage in entry.stages)
    return Checkpoint(entry.model, entry.run, entry.code, entry.reason, stages)


def _own_problem(error: ConfigError) -> bool:
    """Whether the checkpoint is all that is wrong."""
    return all(problem.path.startswith(_OF_THE_CHECKPOINT) for problem in error.problems)


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
        self._address = address
        self._output_dir = output_dir
        self._directory = directory
        self._sweep = sweep
        self._keeper = None if options.keep_warm or address is not None else PoolKeeper()
        self._any_began = False

    def execute(self) -> int:
        """Evaluate what is left, show the table, and return the exit code."""
        code = None
        hangup = signal.getsignal(signal.SIGHUP)
        try:
            self._write()
            while (checkpoint := self._sweep.next()) is not None:
                self._evaluate(checkpoint)
                self._write()
                signal.signal(signal.SIGHUP, hangup)  # a run ignores it once it has ended
        except KeyboardInterrupt:
            self._sweep.interrupt()
        except USAGE_ERRORS as error:
            print(error, file=sys.stderr)
            if not self._any_began:
                return self._nothing_was_run()
            code = EXIT_ABORTED
        except OSError as error:
            print(f"{self._directory.path} can't be written: {error}", file=sys.stderr)
            code = EXIT_ABORTED
        finally:
            if self._keeper is not None:
                self._keeper.close()
        return self._finish(self._sweep.exit_code if code is None else code)

    def _evaluate(self, checkpoint: Checkpoint) -> None:
        """Evaluate a checkpoint. Raises one of ``USAGE_ERRORS`` if no checkpoint can be evaluated like this."""
        model, options = checkpoint.model, _of_one(self._options, checkpoint, self._output_dir)
        say(self._console, f"Checkpoint {model}: {counted(self._sweep.left, 'checkpoint')} left")
        try:
            prepared = checked(options, self._address)
        except ConfigError as error:
            if not _own_problem(error):
                raise
            print(error, file=sys.stderr)
            self._sweep.ended(model, EXIT_USAGE, "; ".join(map(str, error.problems)))
            return
        run_directory = open_directory(options, prepared, self._console)
        with closing(run_directory):
            self._sweep.began(model, run_directory.stamp)
            self._write()
            log_start(prepared, run_directory, resumed=options.resume is not None)
            run = Run(prepared, run_directory, self._console, run_options(options, self._address), self._keeper)
            code = evaluate(run, options, run_directory)
        if code == EXIT_USAGE:
            raise UsageError("the pool can't be used")  # the run has logged why
        self._any_began = True
        if run.unloadable is not None:
            self._sweep.ended(model, EXIT_USAGE, run.unloadable)
        else:
            self._sweep.ended(model, code)

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
        say(self._console, f"Sweep: {self._directory.path}")
        if code != EXIT_COMPLETE and not all(one.is_finished(self._options.stages) for one in checkpoints):
            command = resume_command(self._options.given, self._directory.stamp)
            say(self._console, f"To go on with what is missing: {command}")
        return code

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
            overrides = overrides_of(_of_one(options, checkpoint, None))
            load_config(options.config, overrides, Environment(gpus=None, stages=options.stages, data=False))
        except ConfigError as error:
            if not _own_problem(error):
                raise
            print(error, file=sys.stderr)
        else:
            good.append(checkpoint)
    if left and not good:
        return EXIT_USAGE
    complete = True
    if good:
        first = _of_one(options, good[0], output_dir)
        complete = show_dry_run(console, checked(first, address), first.resume)
    finished = len(sweep.checkpoints) - len(left)
    say(
        console,
        f"Sweep: {counted(len(sweep.checkpoints), 'checkpoint')}, {finished} finished, {len(good)} to be evaluated, "
        f"{len(left) - len(good)} that can't be loaded",
        *(f"  {checkpoint.model}" for checkpoint in good),
    )
    return EXIT_COMPLETE if complete and len(good) == len(left) else EXIT_INCOMPLETE
