"""The last screen: the old system's table, aligned by cells, and a failed run that says so plainly."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.model import Report
from scheduler.store.rows import Row
from scheduler.terminal.summary import print_summary
from scheduler.terminal.table import final_table, print_table
from tests.scheduler.rows import edited, failed, planned, report_of, scored


def rows_of(category: str, scores: Sequence[float]) -> list[Row]:
    rows: list[Row] = []
    for number, score in enumerate(scores):
        pair_id = str(number)
        rows += [planned(pair_id, category), edited(pair_id, category), scored(pair_id, score, category)]
    return rows


GOOD = [*rows_of("物理", [5.2, 7.3, 9.1]), *rows_of("causal", [7.0, 8.0])]
BAD: list[Row] = [*GOOD, planned("x", "环境"), failed("x", "环境", message="out of\nmemory"), planned("y", "环境")]


def shown(report: Report, *, width: int = 80, metrics: Sequence[str] = DEFAULT_METRICS) -> str:
    stream = io.StringIO()
    print_table(Console(file=stream, width=width), final_table(report, metrics))
    return stream.getvalue()


def summary(report: Report) -> str:
    stream = io.StringIO()
    paths = [
        Path("outputs/evaluation_report_20251023_230000.json"),
        Path("outputs/evaluation_report_20251023_230000.md"),
    ]
    print_summary(Console(file=stream, width=80), report, paths, 288.0)
    return stream.getvalue()


def test_the_table_is_the_old_systems() -> None:
    assert shown(report_of(GOOD)).splitlines() == [
        "┌──────────┬────────┬────────┬────────┬────────┬────────┬────────┐",
        "│ Category │   Mean │    Std │ Median │    Min │    Max │  Count │",
        "├──────────┼────────┼────────┼────────┼────────┼────────┼────────┤",
        "│ 物理     │   7.20 │   1.59 │   7.30 │   5.20 │   9.10 │      3 │",
        "│ causal   │   7.50 │   0.50 │   7.50 │   7.00 │   8.00 │      2 │",
        "├──────────┼────────┼────────┼────────┼────────┼────────┼────────┤",
        "│ Overall  │   7.32 │   1.28 │   7.30 │   5.20 │   9.10 │      5 │",
        "└──────────┴────────┴────────┴────────┴────────┴────────┴────────┘",
    ]


def test_failed_and_missing_pairs_have_columns_of_their_own_where_there_are_any() -> None:
    lines = shown(report_of(BAD), width=100).splitlines()
    assert [cell.strip() for cell in lines[1].split("│")[-3:-1]] == ["Failed", "Missing"]
    assert [cell.strip() for cell in lines[5].split("│")[1:-1]] == ["环境", "—", "—", "—", "—", "—", "0", "1", "1"]


def test_a_run_that_only_edits_counts_its_edits() -> None:
    lines = shown(report_of([planned("a"), edited("a")], stages=("edit",))).splitlines()
    assert [cell.strip() for cell in lines[1].split("│")[1:-1]] == ["Category", "Edited"]
    assert [cell.strip() for cell in lines[3].split("│")[1:-1]] == ["物理", "1"]


@pytest.mark.parametrize("width", [30, 60, 80, 120])
@pytest.mark.parametrize(
    "category", ["社会", "一个非常长的类别名称" * 4, "👍🏽 Daumen", "[red]x[/red]\n\u202e", "한국어 ｶﾅ"]
)
def test_every_line_has_the_same_width_in_cells_and_every_number_is_whole(category: str, width: int) -> None:
    text = shown(report_of([*BAD, *rows_of(category, [1234.5, 0.25])]), width=width)
    assert len({cell_len(line) for line in text.splitlines()}) == 1
    assert "1234.50" in text
    assert "\u202e" not in text


def test_the_middle_columns_follow_the_metrics() -> None:
    header = shown(report_of(GOOD), metrics=["median", "ci95"]).splitlines()[1]
    assert [cell.strip() for cell in header.split("│")[1:-1]] == ["Category", "Median", "95% CI", "Count"]
    with pytest.raises(ValueError, match="'variance'"):
        shown(report_of(GOOD), metrics=["variance"])


def test_a_good_run_ends_as_it_always_did() -> None:
    text = summary(report_of(GOOD))
    assert "                         Evaluation Complete\n" in text
    assert "📊 Final Statistics:\n\nCategory Results:\n┌" in text
    assert (
        "\n📁 Reports saved to:\n"
        "   - outputs/evaluation_report_20251023_230000.json\n"
        "   - outputs/evaluation_report_20251023_230000.md\n"
        "\n⏱️  Total Time: 4m 48s\n"
        "✅ Benchmark evaluation completed successfully!\n"
    ) in text


def test_an_incomplete_run_says_so_with_its_first_failures() -> None:
    many = [failed(f"f{number}", "环境", message="[bold]no[/bold]") for number in range(7)]
    text = summary(report_of([*BAD, *many]))

    assert "✅" not in text
    assert "Evaluation Incomplete" in text
    assert "❌ Evaluation INCOMPLETE: 8 of 14 pairs failed, 1 is not done yet\n" in text
    assert "   - 环境/x (edit, oom: out of\\nmemory)\n   - 环境/f0 (edit, oom: [bold]no[/bold])\n" in text
    assert "   ... and 3 more failures, all of them in the reports\n" in text


def test_notes_stand_above_the_numbers() -> None:
    text = summary(report_of(GOOD, manifest={"notes": ["The editor is simulated: scores carry no meaning."]}))
    assert text.index("⚠️  The editor is simulated") < text.index("Final Statistics")
