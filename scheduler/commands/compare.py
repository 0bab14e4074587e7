"""``warmbench compare``: compares runs pair by pair; shows the table and writes it as Markdown, JSON and a page."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scheduler.base.text import encodable, one_line
from scheduler.commands.arguments import not_negative
from scheduler.commands.named_runs import RUN, add_output_dir, with_runs
from scheduler.report.compare import words
from scheduler.report.compare.comparison_markdown import render_markdown
from scheduler.report.compare.comparison_page import render_comparison
from scheduler.report.compare.comparison_report import Comparison
from scheduler.report.compare.saved_runs import ComparedRuns, compare_saved_runs
from scheduler.report.json_form import to_json
from scheduler.report.official_text import main_numbers
from scheduler.report.saved_run import SavedRun
from scheduler.report.series import words as series_words
from scheduler.report.writing import UnwrittenError, write_files
from scheduler.terminal.say import say
from scheduler.terminal.series_table import series_table
from scheduler.terminal.table import LONGEST_CATEGORY, print_table

_MAX_NAME_BYTES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compares each run with the first one, pair by pair, and writes comparison_<ids>.html (a page with the edits "
        "of all runs side by side), .md and .json. Exit codes: 0 they were compared; 4 a run is worse than "
        "--fail-if-worse allows; 2 there is no such run, or no pair has a score in both; 1 the comparison cannot be "
        "written."
    )
    parser.add_argument("run", metavar="RUN", help=f"the run that all others are compared with: {RUN}")
    parser.add_argument("others", nargs="+", metavar="RUN", help="a run to compare with it")
    parser.add_argument(
        "--fail-if-worse",
        type=not_negative,
        metavar="BY",
        help="exit with 4 if the estimated overall mean difference of any run is below -BY",
    )
    parser.add_argument(
        "--pixels",
        action="store_true",
        help="compare the edits, too: PSNR, SSIM, mean and largest difference of the pixels",
    )
    add_output_dir(parser)


def execute(options: argparse.Namespace) -> int:
    def show(runs: list[SavedRun]) -> int:
        folder = options.output_dir or runs[0].output_dir
        try:
            compared = compare_runs(
                Console(highlight=False), runs, folder, options.fail_if_worse, pixels=options.pixels
            )
        except UnwrittenError as error:
            print(f"The comparison can't be written: {error}", file=sys.stderr)
            return 1
        if any(comparison.worse for comparison in compared.comparisons):
            return 4
        return 0 if all(comparison.pairs for comparison in compared.comparisons) else 2

    return with_runs(options, show)


def compare_runs(
    console: Console, runs: Sequence[SavedRun], output_dir: Path, limit: float | None, *, pixels: bool = False
) -> ComparedRuns:
    """Compare each run with the first one, show and write the comparison, and return it.

    Raises:
        UnwrittenError: a file cannot be written. The comparison is shown.
        OSError: a ledger cannot be read.
    """
    compared = compare_saved_runs(runs, limit, pixels=pixels)
    unwritten: UnwrittenError | None = None
    try:
        paths = _write(compared, output_dir)
    except UnwrittenError as error:
        paths, unwritten = error.written, error
    say(console, *(words.run_line(run, one_line) for run in compared.runs))
    say(console, *(f"⚠️  {note}" for note in words.note_lines(compared, one_line)), style="bold yellow")
    if compared.series is not None:
        print_table(console, series_table(compared.series))
        say(console, series_words.legend_line(compared.series))
    for comparison in compared.comparisons:
        say(console, "", f"Settings, {comparison.first} → {comparison.other}:")
        say(console, *(f"   - {line}" for line in words.setting_lines(comparison, one_line)))
        print_table(console, _table(comparison))
        for headings, rows in _further_tables(comparison):
            print_table(console, _plain_table(headings, rows))
        say(console, *words.left_out_lines(comparison, one_line))
    say(console, "", *words.verdict_lines(compared))
    say(console, *(f"Comparison: {one_line(path)}" for path in paths))
    if unwritten is not None:
        raise unwritten
    return compared


def _write(compared: ComparedRuns, output_dir: Path) -> list[Path]:
    name = "_".join(["comparison", *(one_line(run.saved.stamp) for run in compared.runs)])
    if len(name.encode()) > _MAX_NAME_BYTES:
        # The list of all runs is too long for a file's name.
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        name = f"{name.encode()[: _MAX_NAME_BYTES - 17].decode('utf-8', 'ignore')}_{digest}"
    return write_files(
        {
            output_dir / f"{name}.json": lambda: to_json(compared.report()),
            output_dir / f"{name}.md": lambda: encodable(render_markdown(compared)).encode(),
            output_dir / f"{name}.html": lambda: render_comparison(compared, output_dir, name),
        }
    )


def _table(comparison: Comparison) -> Table:
    rows = [[one_line(name, LONGEST_CATEGORY), *words.cells(group)] for name, group in comparison.categories.items()]
    table = _plain_table(words.headings(comparison), rows)
    table.add_section()
    table.add_row(*map(Text, ["Overall", *words.cells(comparison.overall)]))
    return table


def _further_tables(comparison: Comparison) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The tables of dimensions and of the main official numbers; the files have all numbers."""
    if comparison.dimensions:
        yield words.dimension_headings(comparison), words.dimension_rows(comparison, one_line)
    official = comparison.official
    if official is not None and official.numbers:
        names = main_numbers(official.main, official.numbers)
        yield words.number_headings(comparison), words.number_rows(official, names, one_line)


def _plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SQUARE)
    first, *others = headings
    table.add_column(first, overflow="fold", min_width=8)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
