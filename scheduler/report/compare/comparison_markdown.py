"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.base.text import counted
from scheduler.report.compare import words
from scheduler.report.compare.comparison_report import Comparison
from scheduler.report.compare.saved_runs import ComparedRuns
from scheduler.report.markdown_text import escape, table
from scheduler.report.series import words as series_words


def render_markdown(compared: ComparedRuns) -> str:
    """Return the whole document."""
    return "\n".join(_lines(compared)) + "\n"


def _lines(compared: ComparedRuns) -> Iterator[str]:
    yield "# Comparison of Image Edit Benchmark Runs"
    yield ""
    yield from (f"- {words.run_line(run, escape)}" for run in compared.runs)
    for note in words.note_lines(compared, escape):
        yield ""
        yield f"> **Note:** {note}"
    yield ""
    if compared.series is not None:
        yield from table(series_words.headings(compared.series, escape), series_words.rows(compared.series, escape))
        yield ""
        yield series_words.legend_line(compared.series)
        yield ""
    yield from (f"- {escape(line)}" for line in words.verdict_lines(compared))
    for comparison in compared.comparisons:
        yield from _comparison(comparison)


def _comparison(comparison: Comparison) -> Iterator[str]:
    first, other = comparison.first, comparison.other
    yield ""
    yield f"## {other} against {first}"
    yield ""
    yield f"Settings, {first} → {other}:"
    yield ""
    yield from (f"- {line}" for line in words.setting_lines(comparison, escape))
    yield ""
    rows = [[escape(name, 100), *words.cells(group)] for name, group in comparison.categories.items()]
    yield from table(words.headings(comparison), [*rows, ["**Overall**", *words.cells(comparison.overall)]])
    if comparison.dimensions:
        yield ""
        yield from table(words.dimension_headings(comparison), words.dimension_rows(comparison, escape))
    if comparison.official is not None and comparison.official.numbers:
        official = comparison.official
        yield ""
        yield f"Numbers of {escape(official.protocol, 100)} over the {counted(official.num_items, 'item')} that count:"
        yield ""
        yield from table(words.number_headings(comparison), words.number_rows(official, official.numbers, escape))
    left_out = list(words.left_out_lines(comparison, escape))
    if left_out:
        yield ""
        yield from (f"- {line}" for line in left_out)
