"""The command line. Whatever is heavy is imported only by the command that needs it."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from protocol import VERSION

if TYPE_CHECKING:
    from rich.console import Console

    from scheduler.prepare import Prepared

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    # What comes from data may hold anything; a terminal that can't show it must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(given)
    options.given = given
    try:
        code: int = options.command(options)
    except KeyboardInterrupt:
        print("interrupted before anything was run", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="warmbench",
        description="Evaluates image-editing models: edits every pair of a benchmark, has a reward "
        "model score the edits, writes reports.",
    )
    parser.add_argument("--version", action="version", version=f"warmbench {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="edit and score a benchmark, and write the reports",
        description="Edits and scores a benchmark and writes the reports. Exit codes: 0 every pair was done; 2 the "
        "config, the data or the command line is wrong, nothing was run; 3 finished, but some pairs could not be done; "
        "1 aborted; 130 interrupted.",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="the YAML file that says what to run")
    run.add_argument("--data", type=Path, metavar="PATH", help="the benchmark, instead of benchmark.data_path")
    run.add_argument("--categories", nargs="+", metavar="NAME", help="only these categories")
    run.add_argument("--limit", type=_positive, metavar="N", help="only the first N pairs of each category")
    run.add_argument("--output-dir", type=Path, metavar="DIR", help="where reports, logs and runs go")
    run.add_argument("--editor-model", metavar="NAME", help="another checkpoint: a folder, or a name on the hub")
    run.add_argument("--pool", metavar="NAME", help="the pool to attach to or to launch")
    run.add_argument("--keep-warm", action="store_true", help="leave the pool up when the run has ended")
    run.add_argument("--no-launch", action="store_true", help="only attach to a pool that is up")
    run.add_argument(
        "--resume", metavar="RUN", help="go on with this run of the output folder: its id, or latest for the newest"
    )
    run.add_argument(
        "--max-failures",
        type=_limit,
        metavar="N",
        help="abort above so many failed pairs: a count (5) or a fraction (0.05)",
    )
    run.add_argument("--trace", action="store_true", help="write a timeline, trace.json in the run's folder")
    run.add_argument("--dry-run", action="store_true", help="check everything, load no model, run nothing")
    run.add_argument("--debug", action="store_true", help="log everything")
    run.set_defaults(command=_run)
    workers = commands.add_parser("workers", help="the pool, without a run: start, status, stop")
    actions = workers.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("start", "launch the pool, show each load, return when all workers are ready"),
        ("status", "show how every worker stands"),
        ("stop", "end the pool when its workers have finished what they are doing"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="the pool's config")
        action.add_argument("--pool", metavar="NAME", help="the pool's name, if it is not the config's")
        action.set_defaults(command=_workers, action=name, foreground=False, now=False)
        if name == "start":
            action.add_argument("--foreground", action="store_true", help="stay, and stop the pool when interrupted")
        if name == "stop":
            action.add_argument("--now", action="store_true", help="do not wait for what the workers are doing")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return number


def _limit(text: str) -> int | float:
    try:
        return int(text) if text.isascii() and text.isdigit() else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a count nor a fraction") from None


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from scheduler.config import ConfigError, Overrides
    from scheduler.prepare import prepare
    from scheduler.run_directory import NoSuchRunError

    console = Console(highlight=False)
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
        prepared = prepare(options.config, overrides, thorough=options.dry_run)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    if options.dry_run:
        from scheduler.dry_run import show_dry_run

        try:
            return 0 if show_dry_run(console, prepared, options.resume) else 3
        except NoSuchRunError as error:
            print(error, file=sys.stderr)
            return EXIT_USAGE
    return _evaluate(console, prepared, options)


def _workers(options: argparse.Namespace) -> int:
    from rich.console import Console

    from protocol.pool import PoolError
    from scheduler import pool_commands
    from scheduler.config import ConfigError, Environment, Overrides, load_config
    from scheduler.devices import resolve_layout, visible_gpus
    from scheduler.pool_client import PoolUnavailableError

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
    from scheduler.dry_run import counts
    from scheduler.ledger import LedgerBusyError
    from scheduler.logs import configure_logging
    from scheduler.pool_client import find
    from scheduler.run import Run, RunOptions
    from scheduler.run_directory import NoSuchRunError, RunDirectory

    config, benchmark = prepared.config, prepared.benchmark
    try:
        if options.no_launch and find(config.pool_name)[1] is None:
            print(f"pool {config.pool_name} is not up, and --no-launch was given", file=sys.stderr)
            return EXIT_USAGE
        folders = (config.evaluation.output_dir, config.evaluation.image_output_dir)
        directory = RunDirectory.reopen(*folders, options.resume) if options.resume else RunDirectory.create(*folders)
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
    for line in (*config.notices, *benchmark.warnings):
        log.warning("%s", line)
    for pair in benchmark.bad:
        log.warning("%s can't be used (%s): %s", pair.key, pair.kind, pair.message)
    run_options = RunOptions(
        keep_warm=options.keep_warm,
        no_launch=options.no_launch,
        resume=options.resume is not None,
        trace=options.trace,
        arguments=tuple(options.given),
    )
    return Run(config, benchmark, prepared.layout, directory, console, run_options).execute()
