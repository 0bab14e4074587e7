"""``warmbench runs``: the runs of an output folder, a line each."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
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
        _show(runs)
    else:
        print(f"There is no run in {options.output_dir / 'runs'}.")
    return 2 if problems and not runs else 0


def _show(runs: Sequence[RunSummary]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from scheduler.terminal.table import print_table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("Title", "Run", "Status", "Benchmark", "Pairs", "Mean", "Official", "Time"):
        numeric = heading in ("Pairs", "Mean", "Official", "Time")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for run in runs:
        table.add_row(*(Text(cell) for cell in _cells(run)))
    print_table(Console(highlight=False), table)


def _cells(run: RunSummary) -> list[str]:
    from scheduler.base.text import format_duration, one_line
    from scheduler.report.figures import score_text

    mean = score_text(run.mean)
    if run.ci95 is not None:
        mean += f" ({run.ci95[0]:.2f} to {run.ci95[1]:.2f})"
    official = "" if run.official_name is None else f"{one_line(run.official_name, 40)} {score_text(run.official)}"
    benchmark = one_line(run.benchmark, 40) + (f" ({run.protocol})" if run.protocol else "")
    pairs = f"{run.num_scored}/{run.num_pairs}" + (f", {run.num_failed} failed" if run.num_failed else "")
    took = "" if run.seconds is None else format_duration(run.seconds)
    return [one_line(run.title, 60), run.run, run.status, benchmark, pairs, mean, official, took]
