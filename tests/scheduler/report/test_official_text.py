"""The official block in Markdown and in the terminal: on top, with intervals and deviations, and nothing forged."""

from __future__ import annotations

import csv
import io
import math

import msgspec
import pytest
from rich.console import Console

from scheduler.base.text import one_line
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.markdown import render_markdown
from scheduler.report.official_text import main_numbers, number_interval_text, number_text, summary_lines
from scheduler.report.pairs_csv import pairs_csv
from scheduler.store.rows import Row
from scheduler.terminal.summary import print_summary
from tests.scheduler.report import official_rows
from tests.scheduler.report.official_rows import answered, complete_rows, judged, manifest
from tests.scheduler.rows import edited, failed, planned, report_of

pytestmark = pytest.mark.usefixtures("example")
example = official_rows.example
HOSTILE = "a|b<script>alert(1)</script>`**x**"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"), (0.0, "0.000"), (-0.0, "0.000"), (7.0, "7.000"), (85.33333, "85.33"), (0.018977, "0.01898"),
        (1212.4, "1212"), (100.0, "100.0"), (999.99, "1000"), (math.pi * 1e6, "3141593"),
    ],
)  # fmt: skip
def test_a_number_has_four_digits(value: float | None, text: str) -> None:
    assert number_text(value) == text


def test_an_interval_has_both_ends() -> None:
    assert number_interval_text((6.5, 12.0)) == "[6.500, 12.00]"
    assert number_interval_text(None) == "—"


def test_the_markdown_has_the_numbers_on_top_with_judge_and_files() -> None:
    text = render_markdown(report_of(complete_rows(), manifest=manifest()), DEFAULT_METRICS)
    section = text[text.index("## Official Numbers: example") : text.index("## Overall Statistics")]
    assert "**Comparable with published numbers: yes**" in section
    assert "| **Average** | 6.750 | [" in section
    assert "| remove/Score | 8.500 | [" in section
    assert "- Judge: gpt-4.1 (openai; temperature 0.0; max_new_tokens null)" in section
    assert "- Answered by: gpt-4.1 (fp_1): 8 answers" in section
    assert "- Items Scored: 4 of 4 (the full benchmark has 4)" in section
    assert f"- prompts.py: SHA-256 {'c' * 64}" in section
    categories = text[text.index("### add") :]
    assert "- Score of an Edit: as example makes it of its dimensions" in categories
    assert "| Dimension | Mean | Std | Median | Min | Max | Count |" in categories
    assert "| flaws | 0.50 | 0.50 | 0.50 | 0.00 | 1.00 | 2 |" in categories


def test_deviations_stand_above_the_numbers_and_names_from_data_are_literal() -> None:
    rows = [planned("1", HOSTILE), edited("1", HOSTILE), *judged("1", HOSTILE, 5, 5, 5)]
    text = render_markdown(report_of(rows, manifest=manifest(version=HOSTILE)), DEFAULT_METRICS)
    section = text[text.index("## Official Numbers") : text.index("## Overall Statistics")]
    assert section.index("no**") < section.index("- The run has 1 item of 4.") < section.index("| Number |")
    assert "<script>" not in text
    assert "| a&#124;b&lt;script&gt;alert(1)&lt;/script&gt;&#96;" in section


def test_the_terminal_shows_the_main_numbers_and_why_they_are_not_comparable() -> None:
    report = report_of(complete_rows(), manifest=manifest(full_items=9))
    output = io.StringIO()
    print_summary(Console(file=output, width=200), report, [], 1.0)
    text = output.getvalue()
    assert "Official numbers (example, version 2b06cc1):" in text
    assert "   Average  6.750  95% interval [" in text
    assert "and 2 more numbers in the reports" in text
    assert "Comparable with published numbers: no" in text
    assert "   - The run has 4 items of 9." in text
    assert text.index("Official numbers") < text.index("Final Statistics")


def test_a_question_that_failed_is_named_beside_its_stage() -> None:
    refused = failed("3", "add", stage="score", kind="filtered", message="refused", pass_=0)
    rows: list[Row] = [planned("3", "add"), edited("3", "add"), msgspec.structs.replace(refused, question="look")]
    report = report_of(rows, manifest=manifest(version="d" * 40))
    output = io.StringIO()
    print_summary(Console(file=output, width=200), report, [], 1.0)
    assert "add/3 (score, question look, filtered: refused)" in output.getvalue()
    assert "version dddddddddddd)" in output.getvalue()
    assert "| add | 3 | score, question look | filtered | refused |" in render_markdown(report, DEFAULT_METRICS)


def test_the_main_number_is_shown_with_those_beside_it() -> None:
    official = report_of(complete_rows(), manifest=manifest()).official
    assert official is not None
    assert main_numbers(official.main, official.numbers) == ["Average", "Flaws"]


def test_lines_for_a_terminal_have_no_control_characters() -> None:
    report = report_of(complete_rows(), manifest=manifest(version="\x1b[31m\n1"))
    assert report.official is not None
    assert all(one_line(line) == line for line in summary_lines(report.official, one_line))


def test_the_csv_has_a_column_for_each_dimension_with_what_is_known_of_failed_pairs_too() -> None:
    rows = [*complete_rows(), planned("3", "add"), edited("3", "add"), answered("3", "add", "look", {"flaws": 2})]
    rows += [failed("3", "add", stage="score", kind="filtered", pass_=0), planned("4", "add")]
    report = report_of(rows, manifest=manifest())
    table = list(csv.DictReader(io.StringIO(pairs_csv(report).decode("utf-8-sig"), newline=""), strict=True))
    assert table[0]["response"] == 'edit: {"follows": 8, "keeps": 6}\n\nlook: {"flaws": 1}'
    columns = ["pair_id", "status", "score", "dimension:follows", "dimension:keeps", "dimension:flaws"]
    assert [[row[name] for name in columns] for row in table if row["category"] == "add"] == [
        ["1", "scored", "6.0", "8.0", "6.0", "1.0"],
        ["2", "scored", "4.0", "4.0", "9.0", "0.0"],
        ["3", "failed", "", "", "", "2.0"],
        ["4", "missing", "", "", "", ""],
    ]
    assert [pair.dimensions for pair in report.pairs][-2:] == [
        {"follows": None, "keeps": None, "flaws": 2.0},
        {"follows": None, "keeps": None, "flaws": None},
    ]
