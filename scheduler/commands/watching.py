"""Carries out ``warmbench watch``: looks, waits, evaluates, and keeps ``watch.json`` and the series of the runs."""

from __future__ import annotations

import argparse
import os
import signal
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
from scheduler.commands.start_run import USAGE_ERRORS, UsageError, checked, overrides_of, pool_elsewhere
from scheduler.commands.watch_options import (
    base_model,
    entry_file_of,
    gate_rule,
    of_first_checkpoint,
    rules_of,
    run_arguments,
    watched_folder,
)
from scheduler.commands.watch_series import WatchSeries
from scheduler.config.document import Config
from scheduler.config.evaluation_settings import evaluation_settings
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from scheduler.pool.address import PoolAddress
from scheduler.report.run_index import summarize
from scheduler.report.saved_run import read_run
from scheduler.run.options import command_line
from scheduler.run.watch_order import Sighting, View, Watch, Watched
from scheduler.run.watched_folder import WatchedFolder
from scheduler.store.ledger import LEDGER
from scheduler.store.watches import UnreadableWatchError, WatchDirectory, WatchEntry
from scheduler.terminal.run_table import run_cells, run_table
from scheduler.terminal.say import say
from scheduler.terminal.table import print_table
from scheduler.terminal.waiting_line import WaitingLine
from workers.models.assembled import assemble

_TICK_SECONDS = 1.0
_SHORTEST_SECONDS = 0.1
"""Between two looks."""


def check_and_watch(options: argparse.Namespace) -> int:
    """Evaluate every checkpoint, or show what would be done; return the exit code."""
    console = Console(highlight=False)
    try:
        address = pool_elsewhere(options)
        config = load_config(options.config, overrides_of(options))
        folder = watched_folder(options, config)
        if options.once and not options.folder.is_dir():
            raise UsageError(f"there is no folder {options.folder}")
        complete = _check(of_first_checkpoint(options, folder), console, address)
        if options.dry_run:
            return _show(options, console, folder) if complete else EXIT_INCOMPLETE
        directory = WatchDirectory(config.evaluation.output_dir, options.folder)
    except (*USAGE_ERRORS, OSError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    with closing(directory):
        try:
            known = directory.read()
        except UnreadableWatchError as error:
            print(error, file=sys.stderr)
            return EXIT_USAGE
        return _Work(options, console, address, config, folder, directory, known).execute()


def _check(options: argparse.Namespace, console: Console, address: PoolAddress | None) -> bool:
    """Check all but the checkpoints; whether a run would be complete. Raises one of ``USAGE_ERRORS``.

    The model that the config names is not evaluated, so it need not exist.
    """
    try:
        prepared = checked(options, address)
    except ConfigError as error:
        if not own_problem(error):
            raise
        return True
    return not options.dry_run or show_dry_run(console, prepared, None)


def _counts(entry: WatchEntry, output_dir: Path, *, retry: bool) -> bool:
    """Whether an entry of an earlier part still says something: its run is there, and it is not to be tried again."""
    if retry and entry.code == EXIT_USAGE:
        return False
    if entry.run is None:
        return True
    return Path(entry.run).name == entry.run and (output_dir / "runs" / entry.run / LEDGER).is_file()


def _watched(entry: WatchEntry) -> Watched:
    return Watched(entry.path, entry.step, entry.version, entry.run, entry.code, entry.reason)


class _Work:
    """Carries out what ``Watch`` decides."""

    def __init__(
        self,
        options: argparse.Namespace,
        console: Console,
        address: PoolAddress | None,
        config: Config,
        folder: WatchedFolder,
        directory: WatchDirectory,
        known: Sequence[WatchEntry],
    ) -> None:
        self._command = command_line(options.given)
        self._options = argparse.Namespace(**{**vars(options), "given": run_arguments(options)})
        self._console = console
        self._config = config
        self._output_dir = config.evaluation.output_dir
        self._settings = evaluation_settings(config, options.stages)
        self._folder = folder
        self._directory = directory
        valid = [entry for entry in known if _counts(entry, self._output_dir, retry=options.retry)]
        self._others = [entry for entry in valid if entry.settings != self._settings]
        kept = [_watched(entry) for entry in valid if entry.settings == self._settings]
        self._watch = Watch(rules_of(options), kept)
        self._evaluator = Evaluator(options, console, address)
        self._series = WatchSeries(directory.path, gate_rule(options))
        self._told: dict[str, str] = {}
        self._unreadable = ""

    def execute(self) -> int:
        """Evaluate until there is nothing left to wait for, and return the exit code."""
        code = None
        hangup = signal.getsignal(signal.SIGHUP)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if hangup is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.default_int_handler)
        try:
            self._begin()
            while not self._watch.must_end:
                view = self._look()
                self._write_series(plots=not view.ready)
                if view.over:
                    break
                if view.ready:
                    self._evaluate(view.ready[0], view)
                else:
                    self._wait(view)
        except KeyboardInterrupt:
            self._watch.interrupt()
        except USAGE_ERRORS as error:
            print(error, file=sys.stderr)
            code = EXIT_ABORTED if self._evaluator.any_began else EXIT_USAGE
        except OSError as error:
            print(f"{self._directory.path} can't be written: {error}", file=sys.stderr)
            code = EXIT_ABORTED
        finally:
            self._evaluator.close()
        return self._finish(self._watch.exit_code(self._series.codes) if code is None else code)

    def _begin(self) -> None:
        self._say(f"Watching {self._folder.path}, pid {os.getpid()}; series and state: {self._directory.path}")
        if self._others:
            what = counted(len({entry.path for entry in self._others}), "checkpoint")
            self._say(f"An earlier watch evaluated {what} with other settings: these runs do not count for this one")
        self._write()
        done = sum(entry.is_decided for entry in self._watch.entries)
        if done:
            self._say(f"{counted(done, 'checkpoint')} done before")
            self._series.outdated()

    def _look(self) -> View:
        """Look, decide, and say what is new."""
        try:
            seen = self._folder.look(self._watch.decided)
            self._unreadable = ""
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            why = "which does not exist yet" if missing else f"which can't be read: {error.strerror or error}"
            self._unreadable = f"Waiting for {self._folder.path}, {why}"
            return View(over=self._options.once)
        view = self._watch.look(seen, time.monotonic())
        for entry in view.broken:
            self._say(f"{self._named(entry.path)} is broken, and passed over: {one_line(entry.reason, 400)}")
        for path in view.gone:
            self._say(f"{self._named(path)} was deleted before it was evaluated")
        if view.broken:
            self._write()
        return view

    def _evaluate(self, one: Sighting, view: View) -> None:
        """Evaluate a checkpoint. Raises one of ``USAGE_ERRORS`` if no checkpoint can be evaluated like this."""
        config = load_config(self._options.config, overrides_of(self._options))
        if evaluation_settings(config, self._options.stages) != self._settings:
            raise UsageError(f"{config.path} has changed since the watch began: begin it again to evaluate with it")
        model = self._model(one)
        more = len(view.ready) - 1
        self._say(f"Checkpoint {self._named(one.path)}" + (f": {more} more ready" if more else ""))
        self._told.clear()

        def began(run: str) -> None:
            self._watch.began(one, run)
            self._write()

        options = options_of(self._options, model, self._watch.run_of(one), self._output_dir)
        options.reuse = [*options.reuse, *self._earlier_runs(one)]
        outcome = self._evaluator.evaluate(options, began, lambda: self._following(one))
        after = self._folder.look_at(one.path)
        if not self._watch.ended(one, outcome.code, outcome.reason, after):
            what = "deleted" if after is None else "overwritten"
            self._say(f"{self._named(one.path)} was {what} while it was evaluated")
        elif outcome.code == EXIT_USAGE:
            self._say(f"{self._named(one.path)} was not loaded, and is passed over")
        self._write()
        if outcome.code in (EXIT_COMPLETE, EXIT_INCOMPLETE):
            self._series.outdated()
        outcome.announce()

    def _following(self, present: Sighting) -> str | None:
        """The folder of the model that will most likely be evaluated next."""
        try:
            one = self._watch.following(self._folder.look(self._watch.decided), present.path)
            return None if one is None else self._model(one)
        except OSError:
            return None

    def _model(self, one: Sighting) -> str:
        """The folder of the model to evaluate: the checkpoint, or one that is made of it. Raises ``OSError``."""
        base, entry_file = base_model(self._config), entry_file_of(self._config)
        if not one.trained or base is None or entry_file is None:
            return self._named(one.path)
        place = self._directory.path / self._directory.folder.name / one.path
        checkpoint = self._folder.path / one.path
        assemble(base, entry_file, {name: checkpoint / name for name in one.trained}, place)
        return str(place)

    def _earlier_runs(self, one: Sighting) -> list[str]:
        """The runs of other versions of this checkpoint, and of this one with other settings: what is still valid of
        their results is not done again.
        """
        runs = [self._watch.earlier_run(one), *(entry.run for entry in self._others if entry.path == one.path)]
        folders = [self._output_dir / "runs" / run for run in dict.fromkeys(runs) if run is not None]
        return [str(folder) for folder in folders if (folder / LEDGER).is_file()]

    def _wait(self, view: View) -> None:
        """Wait until the next look."""
        reasons = {
            one.path: ("incomplete" if one.incomplete else "new", f"Waiting for {self._named(one.path)}: {one.why}")
            for one in view.waiting
        }
        if self._unreadable:
            reasons[""] = (self._unreadable, self._unreadable)
        elif not reasons:
            reasons[""] = ("idle", f"Waiting for checkpoints in {self._folder.path}")
        first = next(iter(reasons.values()))[1]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        done = counted(sum(entry.is_decided for entry in self._watch.entries), "checkpoint")
        end = time.monotonic() + max(self._options.poll, _SHORTEST_SECONDS)
        with WaitingLine(self._console, self._told) as line:
            while (left := end - time.monotonic()) > 0:
                line.show(f"{done} done, next look in {left:.0f} s. {first}{more}", reasons)
                time.sleep(min(left, _TICK_SECONDS))

    def _write(self) -> None:
        self._directory.write(
            sys.argv,
            [
                WatchEntry(
                    path=one.path,
                    step=one.step,
                    version=one.version,
                    settings=self._settings,
                    run=one.run,
                    code=one.code,
                    reason=one.reason,
                )
                for one in self._watch.entries
            ],
            self._others,
        )

    def _runs(self) -> list[Path]:
        """The runs that have ended, in the order of steps."""
        ended = [one.run for one in self._watch.entries if one.run and one.code in (EXIT_COMPLETE, EXIT_INCOMPLETE)]
        return [self._output_dir / "runs" / run for run in ended]

    def _write_series(self, *, plots: bool) -> None:
        for line in self._series.write(self._runs(), plots=plots):
            self._say(line)

    def _finish(self, code: int) -> int:
        entries = self._watch.entries
        if entries:
            print_table(self._console, run_table(self._row(entry) for entry in entries))
        for entry in entries:
            if entry.code == EXIT_USAGE:
                say(self._console, f"{self._named(entry.path)} is broken: {one_line(entry.reason or '', 400)}")
        if code == EXIT_USAGE and not entries:
            say(self._console, f"No checkpoint was found in {self._folder.path}")
        say(self._console, f"Watch: {self._directory.path}")
        if code in (EXIT_ABORTED, EXIT_INTERRUPTED):
            say(self._console, f"To go on: {self._command}")
        return code

    def _row(self, entry: Watched) -> list[str]:
        title = one_line(self._named(entry.path), 60)
        if entry.code == EXIT_USAGE:
            return [title, entry.run or "", "BROKEN"]
        if entry.run is None:
            return [title, "", "DELETED"]
        try:
            return run_cells(summarize(read_run(self._output_dir / "runs" / entry.run, self._output_dir)))
        except (OSError, ValueError) as error:
            return [title, entry.run, "UNREADABLE", one_line(str(error), 60)]

    def _named(self, path: str) -> str:
        return os.path.normpath(self._folder.path / path)

    def _say(self, text: str) -> None:
        say(self._console, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")


def _show(options: argparse.Namespace, console: Console, folder: WatchedFolder) -> int:
    """Say what is in the folder, and what would be done."""
    try:
        seen = folder.look({})
    except OSError as error:
        say(console, f"Watch: {options.folder} can't be read yet: {error.strerror}")
        return EXIT_COMPLETE
    view = Watch(rules_of(options)).look(seen, 0.0)
    say(console, f"Watch: {counted(len(seen), 'checkpoint')} in {options.folder}, {len(view.ready)} complete")
    for one in view.ready:
        say(console, f"  {one.path}: complete")
    for waiting in view.waiting:
        say(console, f"  {waiting.path}: {one_line(waiting.why, 400)}")
    for broken in view.broken:
        say(console, f"  {broken.path}: {one_line(broken.reason or '', 400)}")
    return EXIT_COMPLETE if not view.broken else EXIT_INCOMPLETE
