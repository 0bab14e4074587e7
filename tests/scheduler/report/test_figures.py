"""Figures as people read them."""

from __future__ import annotations

import pytest

from scheduler.report.figures import DEFAULT_METRICS, interval_text, score_text, shortfall_text
from scheduler.report.markdown import render_markdown
from tests.scheduler.rows import edited, failed, planned, report_of, scored


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (None, "—"),
        ((5.7911, 8.96), "[5.79, 8.96]"),
        ((0.00542, 0.0301), "[0.01, 0.03]"),
        ((-0.004, 0.25), "[0.00, 0.25]"),
        ((-0.00123, 0.000456), "[-0.00123, 0.00046]"),
        ((0.0, 0.0), "[0.00, 0.00]"),
        ((0.0, 10.0), "[0.00, 10.00]"),
        ((1.2e6, 3.4e6), "[1.2e+06, 3.4e+06]"),
    ],
)
def test_both_ends_of_an_interval_have_the_same_precision(interval: tuple[float, float] | None, text: str) -> None:
    assert interval_text(interval) == text


def test_zero_has_no_sign() -> None:
    assert score_text(-0.0) == "0.00"


@pytest.mark.parametrize(
    ("failures", "missing", "text"),
    [
        (1, 0, "1 of 1 pair failed"),
        (0, 1, "1 of 1 pair is not done yet"),
        (1, 1, "1 of 2 pairs failed, 1 is not done yet"),
        (2, 3, "2 of 5 pairs failed, 3 are not done yet"),
        (0, 2, "2 of 2 pairs are not done yet"),
        (0, 0, "there are no pairs"),
    ],
)
def test_why_a_report_is_incomplete(failures: int, missing: int, text: str) -> None:
    rows = [planned(f"{kind}{number}") for kind, count in (("f", failures), ("m", missing)) for number in range(count)]
    report = report_of([*rows, *(failed(f"f{number}") for number in range(failures))])
    assert shortfall_text(report.overall) == text


def test_a_complete_report_counts_its_scores_in_the_singular() -> None:
    text = render_markdown(report_of([planned("1"), edited("1"), scored("1", 7.0)]), DEFAULT_METRICS)
    assert "- json: 1 score\n" in text
