"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.report.compare.result import Against, Result
from scheduler.report.compare.words import (
    cells,
    headings,
    left_out_words,
    note_words,
    run_words,
    setting_words,
    verdict_words,
)
from scheduler.report.markdown_text import escape, table


def render_markdown(result: Result) -> str:
    """Return the whole document."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    first = result.first
    yield "# Comparison of Image Edit Benchmark Runs"
    yield ""
    yield from (f"- {run_words(one, escape)}" for one in result.runs)
    for note in note_words(result, escape):
        yield ""
        yield f"> **Note:** {note}"
    yield ""
    yield from (f"- {escape(line)}" for line in verdict_words(result))
    for against in result.against:
        yield from _against(result, against, first.label)


def _against(result: Result, against: Against, first: str) -> Iterator[str]:
    label, comparison = against.other.label, against.comparison
    yield ""
    yield f"## {label} against {first}"
    yield ""
    yield f"Settings, {first} → {label}:"
    yield ""
    yield from (f"- {line}" for line in setting_words(against, escape))
    yield ""
    rows = [[escape(name, 100), *cells(group)] for name, group in comparison.categories.items()]
    yield from table(headings(first, label), [*rows, ["**Overall**", *cells(comparison.overall)]])
    left_out = list(left_out_words(result, against, escape))
    if left_out:
        yield ""
        yield from (f"- {line}" for line in left_out)
