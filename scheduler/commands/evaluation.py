"""Evaluates one checkpoint after the other, each in a run of its own, on workers that stay warm in between."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from scheduler.base.exit_codes import EXIT_USAGE
from scheduler.commands.start_run import (
    UsageError,
    checked,
    evaluate,
    log_start,
    open_directory,
    run_options,
)
from scheduler.config.document import Config
from scheduler.config.problems import ConfigError
from scheduler.pool.address import PoolAddress
from scheduler.pool.keeper import PoolKeeper
from scheduler.run.ending import announce_result
from scheduler.run.options import of_one_checkpoint
from scheduler.run.read_ahead import ReadAhead
from scheduler.run.run import Run
from scheduler.store.checkpoints import checkpoint_step
from scheduler.store.ledger import LEDGER
from scheduler.trackers.sending import Sender

_KEYS_OF_A_CHECKPOINT = ("model_name", "optimizations", "lora", "transformer_path", "images")
_OF_THE_CHECKPOINT = tuple(f"diffusion_model.params.{key}" for key in _KEYS_OF_A_CHECKPOINT)
"""The keys whose problems may be those of one checkpoint alone."""


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended: the exit code of its run; 2 if the checkpoint cannot be loaded, for the ``reason``.

    ``announce`` tells trackers and the command of ``--on-result``, after the outcome is noted. It raises
    ``KeyboardInterrupt``.
    """

    code: int
    reason: str | None = None
    announce: Callable[[], None] = lambda: None


class Evaluator:
    """Keeps the pool up from the first run to ``close``, unless the pool is elsewhere or stays up anyway."""

    def __init__(self, options: argparse.Namespace, console: Console, address: PoolAddress | None) -> None:
        self._options = options
        self._console = console
        self._address = address
        self._keeper = None if options.keep_warm or address is not None else PoolKeeper()
        self._sender = Sender()
        self._ahead = ReadAhead()
        self.any_began = False
        """Whether the run of a checkpoint has come so far that its command line is right."""

    def evaluate(
        self,
        options: argparse.Namespace,
        began: Callable[[str], None],
        following: Callable[[], str | None] = lambda: None,
    ) -> Outcome:
        """Evaluate the checkpoint of these options; ``began`` gets the id of its run before any work. ``following`` is
        asked, when its last edits are made, for the checkpoint whose files are to be read ahead.

        Raises one of ``USAGE_ERRORS`` if no checkpoint can be evaluated like this.
        """
        try:
            prepared = checked(options, self._address)
        except ConfigError as error:
            if not own_problem(error):
                raise
            print(error, file=sys.stderr)
            return Outcome(EXIT_USAGE, "; ".join(map(str, error.problems)))
        hangup = signal.getsignal(signal.SIGHUP)
        directory = open_directory(options, prepared, self._console)
        with closing(directory):
            began(directory.stamp)
            log_start(prepared, directory, resumed=options.resume is not None)
            read_next = partial(self._read_next, prepared.config, following)
            run = Run(prepared, directory, self._console, run_options(options, self._address), self._keeper, read_next)
            self._ahead.stop()  # from here on, the workers read
            code = evaluate(run, options, directory)
        signal.signal(signal.SIGHUP, hangup)  # a run ignores it once it has ended
        if code == EXIT_USAGE:
            raise UsageError("the pool can't be used")  # the run has logged why
        self.any_began = True
        if run.unloadable is not None:
            code = EXIT_USAGE
        announce = partial(announce_result, prepared, directory, run.report, code, options.on_result, self._sender)
        return Outcome(code, run.unloadable, announce)

    def _read_next(self, config: Config, following: Callable[[], str | None]) -> None:
        entry_file, model = config.diffusion_model.declaration.entry_file, following()
        if model is not None and entry_file is not None and self._address is None and not config.pool.elsewhere:
            self._ahead.start(model, entry_file)

    def close(self) -> None:
        """Leave the pool, which ends if nobody else needs it; wait until the trackers have the results."""
        self._ahead.stop()
        try:
            if self._keeper is not None:
                self._keeper.close()
        finally:
            with contextlib.suppress(KeyboardInterrupt):  # logged; nothing else was interrupted
                self._sender.close()


def options_of(options: argparse.Namespace, model: str, run: str | None, output_dir: Path | None) -> argparse.Namespace:
    """Return the options of this checkpoint's ``run``, which is resumed if it has a ledger."""
    has_ledger = run and output_dir and (output_dir / "runs" / run / LEDGER).is_file()
    changed = {
        "editor_model": model,
        "resume": run if has_ledger else None,
        "name": _title(options.name, model) if options.name else None,
        "given": of_one_checkpoint(options.given, model),
    }
    return argparse.Namespace(**{**vars(options), **changed})


def _title(name: str, model: str) -> str:
    """Return the name of a checkpoint's run: with ``{name}`` and ``{step}`` filled in, else with the checkpoint's."""
    checkpoint, step = os.path.basename(model) or model, checkpoint_step(model)  # noqa: PTH119 - may be no path
    if "{name}" not in name and "{step}" not in name:
        return f"{name} {checkpoint}"
    return name.replace("{name}", checkpoint).replace("{step}", checkpoint if step is None else str(step))


def own_problem(error: ConfigError) -> bool:
    """Whether the checkpoint is all that is wrong."""
    return all(problem.path.startswith(_OF_THE_CHECKPOINT) for problem in error.problems)
