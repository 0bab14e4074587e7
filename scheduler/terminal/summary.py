"""The last screen of a run: results, reports, time, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scheduler.base.text import counted, format_duration, one_line
from scheduler.report.figures import DEFAULT_METRICS, averages_line, failure_place, shortfall_text
from scheduler.report.model import Report
from scheduler.report.official_text import summary_lines
from scheduler.terminal.say import say
from scheduler.terminal.table import final_table, print_table

WIDTH = 70
FIRST_FAILURES = 5
LONGEST_MESSAGE = 200


def print_summary(
    console: Console, report: Report, paths: Sequence[Path], seconds: float, *, metrics: Sequence[str] = DEFAULT_METRICS
) -> None:
    """Print the banner, the notes, the official numbers, ``final_table``, the reports' paths, the time, how it ended.

    Raises:
        ValueError: an unknown metric.
    """
    complete = report.status == "COMPLETE"
    title = "Evaluation Complete" if complete else "Evaluation Incomplete"
    say(console, "=" * WIDTH, title.center(WIDTH).rstrip(), "=" * WIDTH)
    if report.notes:
        say(console, "")
    for note in report.notes:
        say(console, f"⚠️  {one_line(note)}", style="bold yellow")
    if report.official is not None:
        say(console, "", *summary_lines(report.official, one_line))
    say(console, "", "📊 Final Statistics:", "", "Category Results:")
    print_table(console, final_table(report, metrics))
    say(console, *averages_line(report))
    if paths:
        say(console, "", "📁 Reports saved to:", *(f"   - {one_line(path)}" for path in paths))
    say(console, "", f"⏱️  Total Time: {format_duration(seconds)}")
    if complete:
        say(console, "✅ Benchmark evaluation completed successfully!", style="green")
    else:
        _print_incomplete(console, report)
    say(console, "", "=" * WIDTH)


def _print_incomplete(console: Console, report: Report) -> None:
    say(console, f"❌ Evaluation INCOMPLETE: {shortfall_text(report.overall)}", style="bold red")
    for failure in report.failures[:FIRST_FAILURES]:
        key = f"{one_line(failure.category, 100)}/{one_line(failure.pair_id, 200)}"
        place = one_line(failure_place(failure), 200)
        reason = f"{place}, {one_line(failure.kind, 100)}: {one_line(failure.message, LONGEST_MESSAGE)}"
        say(console, f"   - {key} ({reason})")
    more = len(report.failures) - FIRST_FAILURES
    if more > 0:
        say(console, f"   ... and {counted(more, 'more failure')}, all of them in the reports")
