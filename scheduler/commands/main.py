"""The command line. Whatever is heavy is imported only by the command that needs it."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scheduler.commands.arguments import parser

if TYPE_CHECKING:
    from rich.console import Console

    from scheduler.report.saved_run import SavedRun
    from scheduler.run.prepare import Prepared

EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_WORSE = 4
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    # What comes from data may hold anything; a terminal that can't show it must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    options.given = given
    try:
        code: int = _COMMANDS[options.command](options)
    except KeyboardInterrupt:
        print("interrupted before anything was run", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    return code


def _run(options: argparse.Namespace) -> int:
    from scheduler.config import ConfigError, Overrides
    from scheduler.run.prepare import prepare
    from scheduler.store.run_names import NoSuchRunError
    from scheduler.terminal.say import PatientConsole

    if options.images is None and "edit" not in options.stages and options.resume is None:
        print(
            "--stages score needs edits: name the run that has made them by --resume RUN, or score images that were "
            "made elsewhere by `warmbench score --images PATH`",
            file=sys.stderr,
        )
        return EXIT_USAGE
    if options.editor_model is not None and "edit" not in options.stages:
        print("--editor-model says who edits, but --stages score edits nothing: leave one out", file=sys.stderr)
        return EXIT_USAGE
    console = PatientConsole(highlight=False)
    overrides = Overrides(
        data=options.data,
        categories=tuple(options.categories) if options.categories else None,
        limit=options.limit,
        output_dir=options.output_dir,
        editor_model=options.editor_model,
        pool_name=options.pool,
        max_failures=options.max_failures,
        log_level="DEBUG" if options.debug else None,
    )
    try:
        prepared = prepare(
            options.config, overrides, thorough=options.dry_run, stages=options.stages, images=options.images
        )
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    if options.dry_run:
        from scheduler.commands.dry_run import show_dry_run

        try:
            return 0 if show_dry_run(console, prepared, options.resume) else 3
        except NoSuchRunError as error:
            print(error, file=sys.stderr)
            return EXIT_USAGE
    return _evaluate(console, prepared, options)


def _status(options: argparse.Namespace) -> int:
    from scheduler.commands.status import look_at, status_json, status_lines

    def show(runs: list[SavedRun]) -> int:
        status = look_at(runs[0])
        lines = [status_json(runs[0], status)] if options.json else status_lines(runs[0], status)
        print(*lines, sep="\n", flush=True)
        return 0

    return _with_runs(options, show)


def _report(options: argparse.Namespace) -> int:
    from rich.console import Console

    from scheduler.commands.report import rebuild_reports

    console = Console(highlight=False)
    return _with_runs(
        options, lambda runs: 0 if rebuild_reports(console, runs[0], options.human_scores) else EXIT_INCOMPLETE
    )


def _compare(options: argparse.Namespace) -> int:
    from rich.console import Console

    from scheduler.commands.compare import compare_runs

    def show(runs: list[SavedRun]) -> int:
        folder = options.output_dir or runs[0].output_dir
        compared = compare_runs(Console(highlight=False), runs, folder, options.fail_if_worse)
        return EXIT_WORSE if compared.worse else EXIT_USAGE if compared.without_pairs else 0

    return _with_runs(options, show)


def _with_runs(options: argparse.Namespace, then: Callable[[list[SavedRun]], int]) -> int:
    """Do this with the runs that are named; what is wrong with them or with where the result goes is told."""
    from rich.console import Console

    from scheduler.report.saved_run import open_run
    from scheduler.store.run_names import NoSuchRunError
    from scheduler.terminal.logs import configure_logging

    configure_logging("WARNING", None, Console(stderr=True, highlight=False), debug=False)
    try:
        named = [options.run, *getattr(options, "others", ())]
        return then([open_run(name, options.output_dir) for name in named])
    except BrokenPipeError:
        raise
    except (NoSuchRunError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE


def _workers(options: argparse.Namespace) -> int:
    from rich.console import Console

    from protocol.pool import PoolError
    from scheduler.commands import workers as pool_commands
    from scheduler.config import ConfigError, Environment, Overrides, load_config
    from scheduler.config.devices import visible_gpus
    from scheduler.config.layout import resolve_layout
    from scheduler.pool.client import PoolUnavailableError

    console = Console(highlight=False)
    overrides = Overrides(pool_name=options.pool)
    try:
        if options.action == "start":
            gpus = visible_gpus()
            config = load_config(options.config, overrides, Environment(gpus=gpus, data=False))
            return pool_commands.start(console, config, resolve_layout(config, gpus), foreground=options.foreground)
        config = load_config(options.config, overrides)
        if options.action == "status":
            return pool_commands.status(console, config.pool_name)
        return pool_commands.stop(console, config.pool_name, now=options.now)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except (PoolError, PoolUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1


def _evaluate(console: Console, prepared: Prepared, options: argparse.Namespace) -> int:
    from protocol.pool import PoolError
    from scheduler.commands.dry_run import counts
    from scheduler.pool.client import find
    from scheduler.run.options import RunOptions, resume_problem
    from scheduler.run.run import Run
    from scheduler.store.ledger import LedgerBusyError
    from scheduler.store.run_directory import RunDirectory
    from scheduler.store.run_names import NoSuchRunError
    from scheduler.terminal.logs import configure_logging

    config, benchmark = prepared.config, prepared.benchmark
    try:
        if options.no_launch and find(config.pool_name)[1] is None:
            print(f"pool {config.pool_name} is not up, and --no-launch was given", file=sys.stderr)
            return EXIT_USAGE
        folders = (config.evaluation.output_dir, config.evaluation.image_output_dir)
        directory = RunDirectory.reopen(*folders, options.resume) if options.resume else RunDirectory.create(*folders)
        problem = resume_problem(directory.read_json("manifest.json"), directory.stamp, prepared.edits)
        if problem is not None:
            print(problem, file=sys.stderr)
            return EXIT_USAGE
        file = config.log_dir / f"benchmark_{directory.stamp}.log" if config.logging.save_to_file else None
        log = configure_logging(config.logging.level, file, console, debug=options.debug)
    except (PoolError, NoSuchRunError, LedgerBusyError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f"the output can't be written: {error}", file=sys.stderr)
        return EXIT_USAGE
    found = counts(prepared)
    if options.resume:
        log.info("Resuming %s", directory.stamp)
    log.info("Config: %s, output: %s, run: %s", config.path, config.evaluation.output_dir, directory.stamp)
    log.info("Loaded %d image pairs across %d categories", len(benchmark.items), len(found))
    for name, count in found.items():
        log.info("  %s: %d pairs", name, count)
    log.info("Stages: %s", ", ".join(options.stages))
    elsewhere = prepared.edits.warnings if prepared.edits else ()
    if prepared.edits is not None:
        log.info("Edits made elsewhere: %d images of %s", len(prepared.edits.images), prepared.edits.place)
    if "score" not in options.stages and not config.evaluation.save_generated_images:
        log.info("evaluation.save_generated_images is off, but all that this run makes is its edits: they are kept")
    for line in (*config.notices, *benchmark.warnings, *elsewhere):
        log.warning("%s", line)
    for pair in benchmark.bad:
        log.warning("%s can't be used (%s): %s", pair.key, pair.kind, pair.message)
    run_options = RunOptions(
        keep_warm=options.keep_warm,
        no_launch=options.no_launch,
        resume=options.resume is not None,
        trace=options.trace,
        arguments=tuple(options.given),
        stages=options.stages,
        edits=prepared.edits,
    )
    return Run(config, benchmark, prepared.layout, directory, console, run_options).execute()


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "score": _run,
    "status": _status,
    "report": _report,
    "compare": _compare,
    "workers": _workers,
}
