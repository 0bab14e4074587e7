"""``warmbench series``: runs of one benchmark side by side, as a table and as files, with a gate for CI."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msgspec import structs
from rich.console import Console

from scheduler.base.text import one_line
from scheduler.commands.arguments import given, not_negative, path
from scheduler.report.json_form import to_json
from scheduler.report.series import words
from scheduler.report.series.gate import PREVIOUS, GateRule
from scheduler.report.series.model import Series
from scheduler.report.series.plots import can_plot
from scheduler.report.series.writing import read_series, write_series_files
from scheduler.report.writing import UnwrittenError
from scheduler.store.many_runs import locate_runs
from scheduler.store.run_names import NoSuchRunError
from scheduler.terminal.logs import configure_logging
from scheduler.terminal.say import say
from scheduler.terminal.series_table import series_table
from scheduler.terminal.table import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Shows runs of one benchmark side by side: checkpoint after checkpoint, or model beside model. Exit codes: 0 "
        "they were compared; 4 --fail-if-worse found worse; 2 there is no such run, the runs can't be compared, or "
        "--fail-if-worse can't be decided; 1 the files cannot be written."
    )
    add = parser.add_argument
    text = "a run (its directory, id or title), a sweep (its id or folder), a watched folder, or a pattern of titles"
    add("runs", nargs="+", type=given, metavar="RUN", help=text)
    add("--to", type=path, metavar="DIR", help="write series.html, series.json, CSV tables and plots into this folder")
    add("--no-plots", action="store_true", help="write no plots, which takes less time")
    add("--output-dir", type=path, default=Path("outputs"), metavar="DIR", help="where runs are (default: outputs)")
    add("--json", action="store_true", help="print the series as JSON, without its pairs, instead of the table")
    text = "exit with 4 if the 95%% interval of the last run's paired difference lies wholly below -BY"
    add("--fail-if-worse", type=not_negative, metavar="BY", help=text)
    text = "what that run is compared with: previous (default), best of the others, or a title or id"
    add("--against", type=given, default=PREVIOUS, metavar="RUN", help=text)
    add(
        "--candidate", type=given, metavar="RUN", help="the run that may not be worse (default: the last of the series)"
    )


def execute(options: argparse.Namespace) -> int:
    console = Console(highlight=False)
    configure_logging("WARNING", None, Console(stderr=True, highlight=False), debug=False)
    unwritten: UnwrittenError | None = None
    try:
        runs = locate_runs(options.runs, options.output_dir)
        series = read_series(runs, options.to or Path(), _rule(options))
        paths: list[Path] = []
        if options.to is not None:
            try:
                paths = write_series_files(series, options.to, plots=not options.no_plots)
            except UnwrittenError as error:
                paths, unwritten = error.written, error
    except (NoSuchRunError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(to_json(structs.replace(series, pairs=())).decode(), end="")
    else:
        show_series(console, series)
        say(console, *(f"Series: {one_line(file)}" for file in paths))
        if options.to is not None and not options.no_plots and not can_plot():
            say(console, "There are no plots: they need matplotlib (the extra `plots` of warmbench)")
    if unwritten is not None:
        print(f"The series can't be written: {unwritten}", file=sys.stderr)
        return 1
    return exit_code(series)


def show_series(console: Console, series: Series) -> None:
    """Print the table and what a reader must know beside it."""
    say(console, *(f"⚠️  {line}" for line in words.note_lines(series, one_line)), style="bold yellow")
    print_table(console, series_table(series))
    say(console, words.legend_line(series), *words.setting_lines(series, one_line))
    if series.gate is not None:
        say(console, words.gate_line(series, series.gate, one_line))


def exit_code(series: Series) -> int:
    """Return what the gate of the series, if it has one, means for the exit code."""
    gate = series.gate
    if gate is None or gate.worse is False:
        return 0
    return 2 if gate.worse is None else 4


def _rule(options: argparse.Namespace) -> GateRule | None:
    if options.fail_if_worse is None:
        return None
    return GateRule(options.fail_if_worse, options.against, options.candidate)
