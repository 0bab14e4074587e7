"""The table at the end of a run: a row per category and an overall one, as in the old system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from scheduler.base.text import one_line
from scheduler.report.figures import METRIC_LABELS, chosen_metrics, metric_text
from scheduler.report.model import Group, Report

LONGEST_CATEGORY = 40
NARROWEST_CATEGORY = 8


class _Count(NamedTuple):
    heading: str
    count: Callable[[Group], int]
    style: str


_COUNTS = (
    _Count("Failed", lambda group: group.num_failed, "red"),
    _Count("Missing", lambda group: group.num_missing, "yellow"),
    _Count("Edited", lambda group: group.num_edited, ""),
)


def final_table(report: Report, metrics: Sequence[str]) -> Table:
    """Return the table. ``metrics`` are the columns between ``Category`` and ``Count``, in that order.

    ``Failed``, ``Missing`` and ``Edited`` (no score was asked for) appear where they are not all 0; a run that only
    edited has no other columns.

    Raises:
        ValueError: an unknown metric.
    """
    scored = "score" in report.stages or report.overall.num_samples > 0
    chosen = [metric for metric in chosen_metrics(metrics) if scored]
    counts = [column for column in _COUNTS if column.count(report.overall)]
    if scored:
        counts.insert(0, _Count("Count", lambda group: group.num_samples, ""))
    table = Table(box=box.SQUARE)
    # In a narrow terminal only category names are folded: half a number is worse than none.
    table.add_column("Category", overflow="fold", min_width=NARROWEST_CATEGORY)
    for heading in (METRIC_LABELS[metric] for metric in chosen):
        table.add_column(heading, justify="right", no_wrap=True, min_width=6)
    for column in counts:
        table.add_column(column.heading, justify="right", no_wrap=True, min_width=6, style=column.style)
    for name, group in report.category_statistics.items():
        table.add_row(*_cells(name, group, chosen, counts))
    table.add_section()
    table.add_row(*_cells("Overall", report.overall, chosen, counts))
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table with every number whole, even past the edge of a narrow console: only its first column, which has a
    ``min_width``, may be folded.
    """
    natural = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    first = table.columns[0]
    names = max((cell_len(str(cell)) for cell in first.cells), default=0)
    needed = natural - max(names - (first.min_width or names), 0)
    if needed > console.width:
        table.width = needed
    console.print(table, crop=False)


def _cells(name: str, group: Group, metrics: Sequence[str], counts: Sequence[_Count]) -> list[Text]:
    cells = [one_line(name, LONGEST_CATEGORY)]
    cells += [metric_text(group, metric) for metric in metrics]
    cells += [str(column.count(group)) for column in counts]
    return [Text(cell) for cell in cells]
