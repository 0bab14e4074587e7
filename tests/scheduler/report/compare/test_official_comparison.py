"""Runs that a protocol judged, compared by dimension and by official number, in every form."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from rich.console import Console

from scheduler.commands.compare import compare_runs
from scheduler.report.compare.comparison import compare
from scheduler.report.compare.comparison_report import Comparison
from scheduler.report.saved_run import read_run
from scheduler.store.rows import Row
from tests.browser import Visit
from tests.scheduler.report import official_rows
from tests.scheduler.report.gallery.made import run_with_pictures
from tests.scheduler.report.official_rows import facts, judged, manifest
from tests.scheduler.rows import edited, failed, planned, report_of
from tests.scheduler.saved import saved_run

pytestmark = pytest.mark.usefixtures("example")
example = official_rows.example

ATTACK = "<img src=x onerror='window.pwned=1'>"


def rows_of(scores: Sequence[tuple[float, float, float]]) -> list[Row]:
    """Pairs in turn of two categories, with these dimensions."""
    rows: list[Row] = []
    for number, values in enumerate(scores):
        category, pair_id = ("add", "remove")[number % 2], str(number)
        rows += [planned(pair_id, category), edited(pair_id, category), *judged(pair_id, category, *values)]
    return rows


def compared(first: list[Row], other: list[Row], **changes: Any) -> Comparison:
    return compare(report_of(first, manifest=manifest()), report_of(other, manifest=manifest(**changes)))


def drawn(count: int = 60) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """Items of very different difficulty; the second run is better by about a half on each."""
    draw = random.Random(11)  # noqa: S311 - drawn data
    first = [(draw.uniform(0, 9), 10.0, float(draw.randrange(5))) for _ in range(count)]
    return first, [(follows + draw.uniform(0.3, 0.7), keeps, flaws) for follows, keeps, flaws in first]


def test_the_interval_of_a_difference_is_paired_and_the_numbers_are_over_common_items() -> None:
    first, other = drawn()
    rows = [*rows_of(other), planned("new", "add"), edited("new", "add"), *judged("new", "add", 0, 0, 5)]
    comparison = compared(rows_of(first), rows)
    official = comparison.official
    assert official is not None
    assert (official.protocol, official.main, official.num_items, official.notes) == ("example", "Average", 60, ())
    average = official.numbers["Average"]
    assert average.first == pytest.approx(fmean(fmean(row[0] for row in first[start::2]) for start in (0, 1)))
    assert average.difference is not None
    assert average.ci95 is not None
    low, high = average.ci95
    assert low < average.difference < high
    # Unpaired, chance in the choice of items would make it ten times as wide.
    assert high - low < 0.1
    assert official.numbers["Flaws"].difference == 0.0
    assert official.numbers["Flaws"].ci95 == (0.0, 0.0)


def test_each_dimension_is_compared_over_the_pairs_that_have_it_in_both_runs() -> None:
    first, other = drawn(10)
    comparison = compared(rows_of(first), rows_of(other)[:-5])
    assert list(comparison.dimensions) == ["follows", "keeps", "flaws"]
    follows = comparison.dimensions["follows"]
    assert follows.num_pairs == 9
    assert follows.mean_difference == pytest.approx(fmean(b[0] - a[0] for a, b in zip(first[:9], other, strict=False)))
    assert follows.wins == 9
    assert comparison.dimensions["flaws"].mean_difference == 0.0


def test_a_pair_without_a_score_in_one_run_is_in_neither_number() -> None:
    first, other = drawn(6)
    rows = [*rows_of(other)[:-3], failed("5", "remove", stage="score", kind="filtered", pass_=0)]
    official = compared(rows_of(first), rows).official
    assert official is not None
    assert official.num_items == 5
    assert official.numbers["remove/Score"].first == pytest.approx(fmean([first[1][0], first[3][0]]))


def test_other_files_and_another_judge_are_named() -> None:
    rows = rows_of(drawn(4)[0])
    judge = facts().judge
    changed = type(judge)(type="openai", model="gpt-4o", models=judge.models)
    official = compared(rows, rows, files={"prompts.py": "d" * 64}, version="ffff", judge=changed).official
    assert official is not None
    versions, judges = official.notes
    assert versions.startswith("A was judged by version 2b06cc1 of example, B by ffff: the official files differ")
    assert judges == "The judge of A is gpt-4.1, that of B is gpt-4o."


@pytest.mark.parametrize(
    ("other", "way"),
    [({"official": None}, "the prompts of its config"), (manifest(protocol="kris"), "the protocol kris")],
)
def test_runs_that_were_judged_in_different_ways_are_refused(tmp_path: Path, other: dict[str, Any], way: str) -> None:
    rows = rows_of(drawn(2)[0])
    runs = [
        read_run(saved_run(tmp_path, rows, stamp=stamp, manifest=given), tmp_path)
        for stamp, given in (("one", manifest()), ("two", other))
    ]
    with pytest.raises(ValueError, match=rf"A \(one\) was judged by the protocol example, B \(two\) by {way}"):
        compare_runs(Console(file=io.StringIO()), runs, tmp_path, None)
    assert list(tmp_path.glob("comparison*")) == []


def test_all_forms_have_both_tables_and_the_page_filters_by_dimension(visitor: Visit, tmp_path: Path) -> None:
    first, other = drawn(6)
    other[4] = (first[4][0], 10.0, first[4][2] + 1)
    for stamp, rows in (("one", first), ("two", other)):
        given = manifest(version=f"{stamp} {ATTACK}", files={}) | {"workers": []}
        run_with_pictures(tmp_path, rows_of(rows), stamp=stamp, manifest=given)
    runs = [read_run(tmp_path / "runs" / stamp, tmp_path) for stamp in ("one", "two")]
    output = io.StringIO()
    compare_runs(Console(file=output, width=160), runs, tmp_path, None)
    terminal = output.getvalue()
    content = json.loads((tmp_path / "comparison_one_two.json").read_text(encoding="utf-8"))["comparisons"][0]
    markdown = (tmp_path / "comparison_one_two.md").read_text(encoding="utf-8")
    assert content["official"]["numbers"]["Average"]["ci95"][0] > 0
    assert content["dimensions"]["flaws"]["mean_difference"] == pytest.approx(1 / 6)
    assert "| Official Number | A | B | Difference | 95% CI |" in markdown
    assert "| flaws | 6 |" in markdown
    for name in ("Dimension", "follows", "Official Number", "Average", "Flaws"):
        assert name in terminal
    assert "add/Score" not in terminal, "the files have all numbers"

    visitor.open(tmp_path / "comparison_one_two.html")
    page = visitor.page
    verdict = page.locator(".verdict").inner_text()
    assert "Official numbers: example" in verdict
    assert "Over the 6 items that count." in verdict
    assert ATTACK in page.locator(".masthead").inner_text(), "a setting that differs"
    assert page.evaluate("window.pwned") is None
    page.get_by_label("Value").select_option("flaws")
    page.get_by_label("lowest difference").fill("0.5")
    assert page.locator(".card .name").all_inner_texts() == ["4"]
    page.locator(".card").click()
    assert "look: " in page.locator(".detail-body").inner_text()
