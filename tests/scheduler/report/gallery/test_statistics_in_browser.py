"""The statistics of a page in a real browser: its sections show the figures of the JSON report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.writing import write_reports
from scheduler.store.rows import Row
from tests.browser import Visit
from tests.scheduler.report.gallery.made import STAMP, run_with_pictures
from tests.scheduler.report.test_recorded_report import report
from tests.scheduler.rows import edited, json_of, planned, scored


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """The JSON report."""
    return json_of(report())


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("recorded")
    run = output / "runs" / STAMP
    run.mkdir(parents=True)
    return next(path for path in write_reports(report(), output, run, DEFAULT_METRICS) if path.suffix == ".html")


def rows_of(visitor: Visit, section: str) -> list[list[str]]:
    """The cells of all tables of a section."""
    if not visitor.page.locator(f"{section}[open]").count():
        visitor.page.locator(f"{section} > summary").click()
    rows = visitor.page.locator(f"{section} tbody tr, {section} tfoot tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def text_of(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}".replace("-", "−")


def test_aspects_have_their_means_in_each_category_and_overall(
    visitor: Visit, page_file: Path, content: dict[str, Any]
) -> None:
    visitor.open(page_file)
    with_aspects = {name: group for name, group in content["category_statistics"].items() if group["aspects"]}
    expected = [
        [name, *(text_of(aspect["mean"]) for aspect in group["aspects"].values())]
        for name, group in [*with_aspects.items(), ("Overall", content["overall"])]
    ]
    rows = rows_of(visitor, "#aspects")
    assert [[row[0], *(cell.split()[0] for cell in row[1:])] for row in rows] == expected
    assert len(expected[0]) > 2


def test_the_parts_of_the_variance_are_those_of_the_report(
    visitor: Visit, page_file: Path, content: dict[str, Any]
) -> None:
    visitor.open(page_file)
    variance = content["variance"]
    parts = [variance[name] for name in ("between_pairs", "editing", "judging")]
    rows = rows_of(visitor, "#variance")
    assert [row[1:3] for row in rows] == [[text_of(part["variance"]), text_of(part["std"])] for part in parts]
    assert text_of(variance["se_repeat"]) in visitor.page.locator("#variance").inner_text()


def test_agreement_has_its_figures_and_leads_to_the_pairs(
    visitor: Visit, page_file: Path, content: dict[str, Any]
) -> None:
    visitor.open(page_file)
    agreement = content["agreement"]
    rows = rows_of(visitor, "#agreement")
    groups = [*agreement["categories"].items(), ("Overall", agreement["overall"])]
    assert [row[:3] for row in rows[: len(groups)]] == [
        [name, str(group["num_pairs"]), text_of(group["spearman"]["value"])] for name, group in groups
    ]
    disagreements = [[pair["pair_id"], text_of(pair["score"])] for pair in agreement["disagreements"]]
    assert [row[:2] for row in rows[len(groups) :]] == disagreements
    text = visitor.page.locator("#agreement").inner_text()
    assert f"name no pair of this run: {agreement['num_unmatched']}" in text
    visitor.page.locator("#agreement tbody button").first.click()
    assert visitor.page.locator("dialog.detail h2 .name").inner_text() == disagreements[0][0]


def test_failures_and_performance_are_those_of_the_report(
    visitor: Visit, page_file: Path, content: dict[str, Any]
) -> None:
    visitor.open(page_file)
    rows = rows_of(visitor, "#failures")
    assert [row[1:4] for row in rows] == [
        [failure["pair_id"], failure["stage"], failure["kind"]] for failure in content["failures"]
    ]
    workers = [content["performance"][stage]["workers"] for stage in ("edit", "score")]
    assert [row[3] for row in rows_of(visitor, "#performance")] == [str(count) for count in workers]


def test_no_value_that_does_not_exist_is_shown_as_one(visitor: Visit, page_file: Path, content: dict[str, Any]) -> None:
    visitor.open(page_file)
    visitor.page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
    texts = [visitor.page.inner_text("main")]
    visitor.page.locator(".card").first.click()
    for _ in content["pairs"]:
        texts.append(visitor.page.inner_text("dialog.detail"))
        visitor.page.keyboard.press("j")
    for word in ("undefined", "NaN", "[object Object]", "null"):
        assert not [text for text in texts if word in text], word


def test_the_shares_that_a_reward_gave_to_each_number_are_drawn(visitor: Visit, tmp_path: Path) -> None:
    response = json.dumps({"numbers": {str(n): 0.5 if n in (3, 4) else 0.0 for n in range(11)}, "mass": 0.9})
    rows: list[Row] = [planned("1", "a"), edited("1", "a"), scored("1", 3.5, "a", method="logits", response=response)]
    rows += [planned("2", "a"), edited("2", "a"), scored("2", 4.5, "a", method="logits", response="{no json")]
    visitor.open(run_with_pictures(tmp_path, rows))
    assert "3: 50% · 4: 50%" in visitor.page.locator(".card", has_text="3.50").inner_text()
    assert "{no json" in visitor.page.locator(".card", has_text="4.50").inner_text()
    visitor.page.locator(".card", has_text="3.50").click()
    assert "3: 50.0%, 4: 50.0%" in (visitor.page.locator(".shares").get_attribute("aria-label") or "")
