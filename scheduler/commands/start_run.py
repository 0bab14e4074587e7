"""Checks what the command line asks for; then runs, or shows what would be run."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from msgspec import structs
from rich.console import Console

from protocol.pool import PoolError
from scheduler.base.exhausted import exhausted
from scheduler.base.exit_codes import EXIT_ABORTED, EXIT_COMPLETE, EXIT_INCOMPLETE, EXIT_USAGE
from scheduler.base.files import read_json
from scheduler.base.text import counted
from scheduler.config.loading import NotHereError, Overrides
from scheduler.config.problems import ConfigError
from scheduler.pool.address import PoolAddress, PoolUnavailableError, is_remote, remote_address
from scheduler.pool.client import card_of
from scheduler.pool.pool_plan import refuse_unequal
from scheduler.pool.session import check_answer
from scheduler.run.options import RunOptions, resume_command, resume_problem
from scheduler.run.prepare import Prepared, prepare
from scheduler.run.reuse import OtherRun
from scheduler.run.run import Run
from scheduler.store.ledger import LedgerBusyError
from scheduler.store.process_facts import own_commit
from scheduler.store.run_directory import RunDirectory
from scheduler.store.run_names import NoSuchRunError
from scheduler.terminal.logs import configure_logging

log = logging.getLogger("warmbench")


class UsageError(Exception):
    """Something that the command line asks for is not possible."""


USAGE_ERRORS = (ConfigError, PoolError, NoSuchRunError, LedgerBusyError, PoolUnavailableError, UsageError)


def check_and_run(options: argparse.Namespace) -> int:
    """Check everything; then run, or show what would be run; return the exit code."""
    console = Console(highlight=False)
    own_commit()  # git works while the config is read
    try:
        address = pool_elsewhere(options)
        prepared = checked(options, address)
        if options.dry_run:
            from scheduler.commands.dry_run import show_dry_run  # what it imports would delay each run's first pair

            return EXIT_COMPLETE if show_dry_run(console, prepared, options.resume) else EXIT_INCOMPLETE
        directory = open_directory(options, prepared, console)
    except USAGE_ERRORS as error:
        if options.dry_run and isinstance(error, NotHereError):
            from scheduler.commands.dry_run import show_layout

            show_layout(console, error.config, options.stages)
        print(error, file=sys.stderr)
        return EXIT_USAGE
    gc.freeze()  # see ``scheduler.commands.run``
    gc.enable()
    with closing(directory):
        log_start(prepared, directory, resumed=options.resume is not None)
        run = Run(prepared, directory, console, run_options(options, address))
        code = evaluate(run, options, directory)
    from scheduler.run.ending import announce_result  # see there
    from scheduler.trackers.sending import Sender

    try:
        with closing(Sender()) as sender:
            announce_result(prepared, directory, run.report, code, options.on_result, sender)
    except KeyboardInterrupt:
        log.warning("Interrupted, but the run itself has ended")
    return code


def pool_elsewhere(options: argparse.Namespace) -> PoolAddress | None:
    """Return where the pool is, if it is on another machine and answers. Raises ``PoolUnavailableError``."""
    address = remote_address(options.pool, options.key)
    if address is not None:
        check_answer(address)
    return address


def checked(options: argparse.Namespace, address: PoolAddress | None) -> Prepared:
    """Return what the options ask for, if it can be done. Raises one of ``USAGE_ERRORS``."""
    _check_stages(options)
    prepared = prepare(
        options.config,
        overrides_of(options),
        thorough=options.dry_run,
        stages=options.stages,
        images=options.images,
        images_layout=options.layout,
        shard=options.shard,
    )
    if address is None:
        pool = prepared.config.pool_name
        card = card_of(pool)
        refuse_unequal(pool, card, prepared.config)
        if options.no_launch and card is None:
            raise UsageError(f"pool {pool} is not up, and --no-launch was given")
    return structs.replace(prepared, reuse=_reused_runs(options.reuse, prepared.config.evaluation.output_dir))


def _reused_runs(names: list[str], output_dir: Path) -> tuple[OtherRun, ...]:
    """Return the runs that ``--reuse`` names. Each name becomes paths: ``latest`` and a title may mean other runs when
    the next checkpoint has its turn. Raises ``NoSuchRunError``.
    """
    if not names:
        return ()
    from scheduler.report.saved_run import read_run  # few runs need it
    from scheduler.store.many_runs import locate_runs
    from scheduler.store.titles import run_title

    runs = [read_run(path.resolve(), output_dir) for path in locate_runs(names, output_dir)]
    names[:] = (str(run.path) for run in runs)
    return tuple(
        OtherRun(run.stamp, run.path, run_title(run.manifest, run.stamp), run.manifest, run.expected, run.rows)
        for run in runs
    )


def run_options(options: argparse.Namespace, address: PoolAddress | None) -> RunOptions:
    """Return what the command line asks of the run."""
    return RunOptions(
        keep_warm=options.keep_warm,
        no_launch=options.no_launch or address is not None,
        pool=address,
        resume=options.resume is not None,
        trace=options.trace,
        arguments=tuple(options.given),
        name=options.name,
    )


def evaluate(run: Run, options: argparse.Namespace, directory: RunDirectory) -> int:
    """Run to the end, and return the exit code, also where the machine has no memory or threads left."""
    try:
        return run.execute()
    except Exception as error:
        reason = exhausted(error)
        if reason is None:
            raise
        log.error("Aborted: %s", reason)
        log.warning("To resume: %s", resume_command(options.given, directory.stamp))
        return EXIT_ABORTED


def _check_stages(options: argparse.Namespace) -> None:
    if "edit" in options.stages or options.images is not None:
        return
    if options.resume is None:
        raise UsageError(
            "--stages score needs edits: name the run that made them with --resume RUN, or score images that were made "
            "elsewhere with `warmbench score --images PATH`"
        )
    if options.editor_model is not None:
        raise UsageError("--editor-model names an editor, but --stages score edits nothing: omit one of the two")


def overrides_of(options: argparse.Namespace) -> Overrides:
    """Return what the command line replaces in the config."""
    return Overrides(
        data=options.data,
        categories=tuple(options.categories) if options.categories else None,
        limit=options.limit,
        output_dir=options.output_dir,
        editor_model=options.editor_model,
        pool_name=None if is_remote(options.pool) else options.pool,
        attached=is_remote(options.pool) or None,
        max_failures=options.max_failures,
        log_level="DEBUG" if options.debug else None,
    )


def open_directory(options: argparse.Namespace, prepared: Prepared, console: Console) -> RunDirectory:
    """Open the run's directory, a new one or the one to resume, and its log. Raises one of ``USAGE_ERRORS``."""
    config = prepared.config
    folders = (config.evaluation.output_dir, config.evaluation.image_output_dir)
    try:
        directory = RunDirectory.reopen(*folders, options.resume) if options.resume else RunDirectory.create(*folders)
        with ExitStack() as unless_open:
            unless_open.callback(directory.close)
            manifest = read_json(directory.path / "manifest.json")
            problem = resume_problem(manifest, directory.stamp, prepared.edits, options.shard)
            if problem is not None:
                raise UsageError(problem)
            file = config.log_dir / f"benchmark_{directory.stamp}.log" if config.logging.save_to_file else None
            configure_logging(config.logging.level, file, console, debug=options.debug)
            unless_open.pop_all()
    except OSError as error:
        raise UsageError(f"the output can't be written: {error}") from error
    return directory


def log_start(prepared: Prepared, directory: RunDirectory, *, resumed: bool) -> None:
    """Log what is run."""
    config, benchmark, edits = prepared.config, prepared.benchmark, prepared.edits
    counts = prepared.pairs_by_category()
    if resumed:
        log.info("Resuming %s", directory.stamp)
    log.info("Config: %s, output: %s, run: %s", config.path, config.evaluation.output_dir, directory.stamp)
    pairs, categories = counted(len(benchmark.items), "image pair"), counted(len(counts), "category", "categories")
    part = "" if benchmark.shard is None else f" (shard {benchmark.shard})"
    log.info("Loaded %s across %s%s", pairs, categories, part)
    for name, count in counts.items():
        log.info("  %s: %s", name, counted(count, "pair"))
    log.info("Stages: %s", ", ".join(prepared.stages))
    if edits is not None:
        log.info("Edits made elsewhere: %s of %s", counted(len(edits.images), "image"), edits.title)
    if "score" not in prepared.stages and not config.evaluation.save_generated_images:
        log.info("evaluation.save_generated_images is off, but this run makes nothing but edits: they are kept")
    for line in (*config.notices, *prepared.warnings, *benchmark.warnings, *(edits.warnings if edits else ())):
        log.warning("%s", line)
    for pair in benchmark.bad:
        log.warning("%s can't be used (%s): %s", pair.key, pair.kind, pair.message)
