"""The Markdown report: the old system's headings, every failure with its reason, and nothing that data could forge."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.base.text import one_line
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.markdown import MAX_FAILURES, render_markdown
from scheduler.report.markdown_text import escape
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, failed, planned, report_of, scored, stage_end

HOSTILE = "x | y `code` <script>alert(1)</script>\n# Heading\r\n\x1b[31m[a](http://evil)\u202eterces **b** ![i](j)"


def a_small_run() -> list[Row]:
    return [
        planned("1"),
        edited("1"),
        scored("1", 7.25),
        planned("2"),
        edited("2"),
        scored("2", 7.5),
        planned("3", "环境"),
        failed("3", "环境", kind="no_instruction", message="the pair has no edit_instruction"),
        stage_end("edit", wall=288.0, device=1700.0, workers=6, rounds=9, model_switches=1, model_switch_seconds=20.0),
    ]


def test_the_old_systems_headings_and_lines_are_there() -> None:
    lines = render_markdown(report_of(a_small_run()), DEFAULT_METRICS).splitlines()

    assert lines[0] == "# Image Edit Benchmark Evaluation Report"
    overall = lines.index("## Overall Statistics")
    assert lines[overall + 1 : overall + 4] == ["- Total Pairs: 3", "- Overall Mean Score: 7.38", "- Overall Std: 0.12"]
    category = lines.index("### 物理")
    assert overall < lines.index("## Category Statistics") < category
    assert lines[category + 1 : category + 3] == ["- Mean: 7.38", "- Std: 0.12"]
    assert "- Count: 2" in lines[category:]


def test_status_failures_methods_performance_and_provenance_are_shown() -> None:
    report = report_of(
        a_small_run(), manifest={"git_commit": "abc", "devices": ["cuda:0", "cuda:1"], "versions": {"torch": "2"}}
    )
    text = render_markdown(report, DEFAULT_METRICS)

    assert "**Status: INCOMPLETE** (1 of 3 pairs failed)" in text
    assert "| 环境 | 3 | edit | no_instruction | the pair has no edit_instruction |" in text
    assert "- json: 2 scores" in text
    assert "| Edit | 4m 48s | 28m 20s | 6 | 98.4% |" in text
    assert "| Score | — | — | — | — |" in text
    assert "- Model Switches: 1 (20s in all)" in text
    assert "- devices: cuda:0, cuda:1" in text
    assert "- versions.torch: 2" in text


def test_notes_stand_above_every_number() -> None:
    report = report_of(a_small_run(), manifest={"notes": ["The editor is simulated: scores carry no meaning."]})
    text = render_markdown(report, DEFAULT_METRICS)
    assert text.index("> **Note:** The editor is simulated") < text.index("## Overall Statistics")


def test_the_metrics_choose_and_order_the_columns() -> None:
    text = render_markdown(report_of(a_small_run()), ["max", "mean", "ci95", "max"])
    assert "| Category | Max | Mean | 95% CI | Count | Failed | Missing |" in text
    assert "| 物理 | 7.50 | 7.38 | [5.79, 8.96] | 2 | 0 | 0 |" in text
    assert "| **Overall** | 7.50 | 7.38 | [5.79, 8.96] | 2 | 1 | 0 |" in text


def test_an_unknown_metric_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'variance' is none of mean"):
        render_markdown(report_of([]), ["variance"])


def test_a_report_of_nothing_shows_dashes_instead_of_numbers() -> None:
    text = render_markdown(report_of([]), DEFAULT_METRICS)
    assert "- Overall Mean Score: —" in text
    assert "nan" not in text.lower()


def test_hostile_text_forms_no_cell_no_tag_no_link_and_no_line() -> None:
    rows: list[Row] = [
        planned("1", HOSTILE),
        failed("1", HOSTILE, kind="error", message=HOSTILE),
        planned(HOSTILE),
        edited(HOSTILE),
        scored(HOSTILE, 7.0, method=HOSTILE),
    ]
    report = report_of(rows, manifest={"notes": [HOSTILE], HOSTILE: {HOSTILE: [HOSTILE]}})
    tame = report_of(
        [planned("1", "x"), failed("1", "x"), *rows[2:4], scored(HOSTILE, 7.0)],
        manifest={"notes": [""], "x": {"y": "z"}},
    )
    text = render_markdown(report, DEFAULT_METRICS)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "<" not in text
    assert "`" not in text
    assert "](" not in text.replace("\\]", "")
    assert text.count("\n") == render_markdown(tame, DEFAULT_METRICS).count("\n")
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.count("|") in (6, 10)
    assert "\\u202eterces" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("类别 A-1 (v2.0)", "类别 A-1 (v2.0)"),
        ("bad_base64", "bad_base64"),
        ("_emphasis_", "\\_emphasis\\_"),
        ("1#2", "1#2"),
        ("closed ##", "closed \\#\\#"),
        ("- item", "\\- item"),
        ("12. item", "12\\. item"),
        ("123456789) item", "123456789\\) item"),
        ("7.", "7\\."),
        ("0.1.0", "0.1.0"),
        ("2.13.0+cpu", "2.13.0+cpu"),
        ("a|b", "a&#124;b"),
        ("&lt;", "&amp;lt;"),
        ("https://a.b www.c.d", "https\\://a.b www\\.c.d"),
        ("C:\\x", "C:\\\\x"),
    ],
)
def test_text_is_escaped_where_it_would_mean_something_and_left_alone_elsewhere(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@given(st.text(max_size=60))
def test_what_is_rendered_is_the_text_as_it_was(text: str) -> None:
    rendered = html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escape(text)))
    assert rendered == one_line(text).strip()


def test_a_flood_of_failures_is_cut_and_says_so() -> None:
    rows: list[Row] = [failed(str(number)) for number in range(MAX_FAILURES + 3)]
    text = render_markdown(report_of(rows), DEFAULT_METRICS)
    assert text.count("| out of memory |") == MAX_FAILURES
    assert f"- edit, oom: {MAX_FAILURES + 3}" in text
    assert f"The first {MAX_FAILURES} of {MAX_FAILURES + 3}; the JSON report has all of them." in text
