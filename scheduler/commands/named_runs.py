"""What the commands share that read what runs have left: ``status``, ``report``, ``compare``, ``export``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from rich.console import Console

from scheduler.commands.arguments import path
from scheduler.report.saved_run import SavedRun, open_run
from scheduler.store.run_names import NoSuchRunError
from scheduler.terminal.logs import configure_logging

RUN = "a run's directory, its id, its title, or latest for the newest"


def add_output_dir(parser: argparse.ArgumentParser, *, writes: bool = True) -> None:
    text = f"where runs are looked up by id (default: outputs){', and where files are written' if writes else ''}"
    parser.add_argument("--output-dir", type=path, metavar="DIR", help=text)


def with_runs(options: argparse.Namespace, command: Callable[[list[SavedRun]], int]) -> int:
    """Call the command with the runs that are named, and return its exit code; 2 if it or a run fails."""
    configure_logging("WARNING", None, Console(stderr=True, highlight=False), debug=False)
    try:
        return command([open_run(name, options.output_dir) for name in [options.run, *getattr(options, "others", ())]])
    except (NoSuchRunError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
