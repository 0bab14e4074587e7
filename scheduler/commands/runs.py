"""``warmbench runs``: the runs of an output folder, a line each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.commands.arguments import given, path

if TYPE_CHECKING:
    from scheduler.report.run_index import RunSummary

_SORTS: dict[str, Callable[[RunSummary], Any]] = {
    "time": lambda run: run.started,
    "score": lambda run: (run.mean is not None, run.mean),
    "official": lambda run: (run.official is not None, run.official),
    "title": lambda run: run.title,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Lists the runs of an output folder: what was evaluated, how far it came, and its score."
    add = parser.add_argument
    add("--output-dir", type=path, default=Path("outputs"), metavar="DIR", help="the output folder (default: outputs)")
    add("--benchmark", type=given, metavar="TEXT", help="only runs whose benchmark or protocol contains this")
    help_text = "by time (the newest last), score or official number (the best last), or title"
    add("--sort", choices=_SORTS, default="time", help=help_text)
    add("--json", action="store_true", help="a JSON list, for programs")


def execute(options: argparse.Namespace) -> int:
    import sys

    import msgspec

    from scheduler.report.run_index import list_runs

    runs, problems = list_runs(options.output_dir)
    if options.benchmark is not None:
        wanted = options.benchmark.lower()
        runs = [run for run in runs if wanted in run.benchmark.lower() or wanted in (run.protocol or "").lower()]
    runs.sort(key=_SORTS[options.sort])
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(runs)).decode())
    elif runs:
        from rich.console import Console

        from scheduler.terminal.run_table import run_cells, run_table
        from scheduler.terminal.table import print_table

        print_table(Console(highlight=False), run_table([run_cells(run) for run in runs]))
    else:
        print(f"There is no run in {options.output_dir / 'runs'}.")
    return 2 if problems and not runs else 0
