"""A table of runs, a line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from scheduler.base.text import format_duration, one_line
from scheduler.report.figures import score_text
from scheduler.report.run_index import RunSummary

_HEADINGS = ("Title", "Run", "Status", "Benchmark", "Pairs", "Mean", "Official", "Time")
_NUMERIC = ("Pairs", "Mean", "Official", "Time")


_NARROWEST_TITLE = 24


def run_table(rows: Iterable[Sequence[str]]) -> Table:
    """Return the table of these rows; one that ends early has no more cells."""
    table = Table(box=box.SIMPLE_HEAD)
    shown = list(rows)
    first, *others = _HEADINGS
    longest = max((cell_len(row[0]) for row in shown), default=0)
    table.add_column(first, overflow="fold", min_width=min(_NARROWEST_TITLE, longest))
    for heading in others:
        table.add_column(heading, justify="right" if heading in _NUMERIC else "left", no_wrap=True)
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))
    return table


def run_cells(run: RunSummary) -> list[str]:
    """Return the row of a run."""
    mean = score_text(run.mean)
    if run.ci95 is not None:
        mean += f" ({run.ci95[0]:.2f} to {run.ci95[1]:.2f})"
    official = "" if run.official_name is None else f"{one_line(run.official_name, 40)} {score_text(run.official)}"
    benchmark = one_line(run.benchmark, 40) + (f" ({run.protocol})" if run.protocol else "")
    pairs = f"{run.num_scored}/{run.num_pairs}" + (f", {run.num_failed} failed" if run.num_failed else "")
    took = "" if run.seconds is None else format_duration(run.seconds)
    return [one_line(run.title, 60), run.run, run.status, benchmark, pairs, mean, official, took]
