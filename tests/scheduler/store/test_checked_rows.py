"""What no run can have written into its ledger is a failure, and decides nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from scheduler.commands.status import look_at, status_lines
from scheduler.report.compare.saved_runs import compare_saved_runs
from scheduler.report.saved_run import open_run
from scheduler.store.checked_rows import checked_rows
from scheduler.store.rows import FailedRow, Row
from tests.scheduler.rows import edited, failed, planned, report_of, scored
from tests.scheduler.saved import saved_run

MANIFEST: dict[str, Any] = {"reward": {"parameters": {"score_range": [0, 10]}}, "edits": None}
RUN = Path("outputs/runs/20251023_230000")


def kinds(*rows: Row, manifest: dict[str, Any] = MANIFEST, run: Path = RUN) -> list[str | None]:
    """Of each row the kind of the failure that it became, None if it is as it was."""
    passed = list(checked_rows(rows, run, manifest))
    return [row.kind if isinstance(row, FailedRow) else None for row in passed]


@pytest.mark.parametrize("score", [10.5, -0.1, 99.0])
def test_a_score_outside_of_the_scale_is_a_failure(score: float) -> None:
    assert kinds(scored("a", score), scored("b", 5.0, aspects={"look": 5.0, "sense": score})) == ["out_of_range"] * 2


@pytest.mark.parametrize("score", [math.inf, -math.inf, math.nan])
def test_a_score_that_is_no_number_is_a_failure_also_where_the_scale_is_unknown(score: float) -> None:
    assert kinds(scored("a", score), manifest={}) == ["not_finite"]


def test_the_ends_of_the_scale_count_and_so_does_what_rounding_adds_to_them() -> None:
    assert kinds(scored("a", 0.0), scored("b", 10.0), scored("c", 10.000000000000002)) == [None] * 3
    assert kinds(scored("a", 1000.0), manifest={"reward": {"parameters": {"score_range": "?"}}}) == [None]


def test_a_protocol_counts_a_score_outside_of_the_scale_as_its_authors_do() -> None:
    assert kinds(scored("a", 12.0), scored("b", math.nan), manifest={**MANIFEST, "official": {}}) == [
        "out_of_range",
        "not_finite",
    ]
    by_protocol = {**MANIFEST, "official": {"protocol": "gedit"}}
    assert kinds(scored("a", 12.0), scored("b", math.nan), manifest=by_protocol) == [None, "not_finite"]


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("images/物理/a.png", None),
        ("images-sample-1/物理/a.png", None),
        ("/elsewhere/20251023_230000/物理/a.png", None),
        ("../../../secret.png", "outside_run"),
        ("images/../../other/images/物理/a.png", "outside_run"),
        ("/etc/passwd", "outside_run"),
        ("/elsewhere/../etc/物理/a.png", "outside_run"),
    ],
)
def test_an_image_outside_of_the_run_is_a_failure(image: str, kind: str | None) -> None:
    assert kinds(structs.replace(edited("a"), image=image)) == [kind]


def test_edits_made_elsewhere_lie_anywhere() -> None:
    row = structs.replace(edited("a"), image="/data/mine.png")
    assert kinds(row, manifest={"edits": {"made": "elsewhere", "from": "/data"}}) == [None]


def test_the_path_within_the_run_may_be_absolute() -> None:
    assert kinds(structs.replace(edited("a"), image=f"{RUN.absolute()}/images/x.png")) == [None]


def tampered(folder: Path) -> Path:
    """A run of three pairs: of the second the score was changed by hand, of the third the image."""
    rows: list[Row] = [
        *(planned(name) for name in "abc"),
        *(edited(name) for name in "ab"),
        structs.replace(edited("c"), image="../../../../etc/passwd"),
        *(scored(name, score) for name, score in (("a", 6.0), ("b", 999.0), ("c", 9.0))),
    ]
    return saved_run(folder, rows, manifest=MANIFEST)


def test_reports_status_and_comparison_report_impossible_rows_and_do_not_use_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = open_run(str(tampered(tmp_path)), None)

    report = run.report()
    assert report.overall.mean == 6.0
    assert [(pair.status, pair.score) for pair in report.pairs] == [("scored", 6.0), ("failed", None), ("failed", None)]
    assert [(failure.kind, failure.message) for failure in report.failures] == [
        ("out_of_range", "the recorded score is 999, outside of 0 to 10"),
        ("outside_run", "the recorded image ../../../../etc/passwd is outside of the run"),
    ]
    assert not any(sample.image and "etc" in sample.image for pair in report.pairs for sample in pair.samples)
    (warning,) = caplog.messages
    assert warning.startswith("The ledger has 2 impossible rows, not used: 物理/c: the recorded image ..")

    text = "\n".join(status_lines(run, look_at(run)))
    assert "edit: 2/3, 1 failed\nscore: 1/2, 1 failed\n" in text
    assert "score, out_of_range: the recorded score is 999, outside of 0 to 10" in text
    compared = compare_saved_runs([run, run], None)
    assert [pair.pair_id for pair in compared.comparisons[0].pairs] == ["a"]


def test_a_failure_that_is_withdrawn_or_done_again_is_none() -> None:
    rows: list[Row] = [planned("a"), edited("a"), scored("a", 99.0), scored("a", 7.0, identity="A")]
    assert report_of(list(checked_rows(rows, RUN, MANIFEST))).overall.mean == 7.0
    images = [structs.replace(edited("a"), image=image) for image in ("../a.png", "images/a.png")]
    again: list[Row] = [planned("a"), images[0], scored("a", 9.0), images[1], scored("a", 5.0)]
    assert report_of(list(checked_rows(again, RUN, MANIFEST))).overall.mean == 5.0
    withdrawn = [*rows[:3], failed("a", stage="score", kind="outdated", pass_=0)]
    assert report_of(list(checked_rows(withdrawn, RUN, MANIFEST))).overall.num_missing == 1
