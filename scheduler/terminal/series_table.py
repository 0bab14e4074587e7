"""The table of a series, the best run first."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from scheduler.base.text import one_line
from scheduler.report.series import words
from scheduler.report.series.model import Series

_NARROWEST_TITLE = 24


def series_table(series: Series) -> Table:
    """Return the table."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    first, *others = words.headings(series, one_line)
    rows = words.rows(series, one_line)
    longest = max(cell_len(row[0]) for row in rows)
    table.add_column(first, overflow="fold", min_width=min(_NARROWEST_TITLE, longest))
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
