"""The page of a series: the plot, the table, the pairs and the slider that goes from run to run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import pytest

from scheduler.report.series.gate import GateRule
from scheduler.report.series.writing import write_series
from scheduler.store.rows import Row
from tests.browser import Visit, visit
from tests.scheduler.report.gallery.made import run_with_pictures
from tests.scheduler.rows import edited, failed, planned, scored, stage_end

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PWN = "<img src=x onerror='window.pwned=1'>"
SCORES: tuple[tuple[float | None, ...], ...] = ((3.0, 4.0, 5.0, 6.0), (5.0, 6.0, None, 7.0), (7.0, 7.0, 2.0, 7.5))
"""The scores of four pairs at steps 100, 200 and 300. The third fails at step 200, and is worse at 300."""


def rows_of(scores: Sequence[float | None], instruction: str = "") -> list[Row]:
    rows: list[Row] = []
    for number, score in enumerate(scores):
        name, category = f"p{number}", ("物理", "style")[number % 2]
        rows.append(msgspec.structs.replace(planned(name, category), instruction=instruction or f"do thing {number}"))
        if score is None:
            rows.append(failed(name, category, message=PWN))
            continue
        edit = msgspec.structs.replace(edited(name, category), image=f"images/{category}/{name}.png")
        rows += [edit, scored(name, score, category, aspects={"clean": score / 2})]
    return [*rows, stage_end("edit", wall=90.0, device=80.0, workers=1)]


def made_run(folder: Path, number: int, rows: Sequence[Row], model: str, **more: Any) -> Path:
    stamp = f"20260101_00000{number}"
    run_with_pictures(
        folder, rows, stamp=stamp, manifest={"notes": [], "workers": [], "editor": {"model_name": model}} | more
    )
    return folder / "runs" / stamp


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three checkpoints of one training."""
    folder = tmp_path_factory.mktemp("series")
    checkpoints = [
        made_run(folder, n, rows_of(scores), f"trainings/<b>lora/checkpoint-{n}00")
        for n, scores in enumerate(SCORES, 1)
    ]
    write_series(checkpoints, folder / "of three", GateRule(by=0.1))
    return folder / "of three" / "series.html"


@pytest.fixture
def opened(visitor: Visit, series: Path) -> Iterator[Visit]:
    visitor.page.set_viewport_size({"width": 1280, "height": 3000})  # cards far below the window do not exist
    visitor.open(series)
    yield visitor
    assert all(url.startswith(("file:", "data:")) for url in visitor.requests)


def current(visitor: Visit) -> str:
    """What names the run that is shown."""
    return visitor.page.locator(".gallery > .timeline .timeline-name b").inner_text()


def interval_text(series: Path) -> str:
    low, high = json.loads(series.with_suffix(".json").read_text(encoding="utf-8"))["runs"][2]["ci95"]
    return f"[{low:.2f}, {high:.2f}]"


def names(visitor: Visit) -> list[str]:
    return visitor.page.locator(".card .name").all_inner_texts()


def test_plot_and_table_have_the_figures_of_the_json_form(opened: Visit, series: Path) -> None:
    page, plain = opened.page, json.loads(series.with_suffix(".json").read_text(encoding="utf-8"))
    assert page.locator("h1").inner_text() == "<b>lora"
    gate = page.locator(".gate").inner_text()
    assert gate.startswith("checkpoint-300 is not shown to be worse than checkpoint-200 by more than 0.1: +1.17 [")
    assert page.locator(".plot .point").count() == 3
    assert page.locator(".readout-value").inner_text() == "5.88"
    assert "Step 300" in page.locator(".readout").inner_text()
    rows = [row.split("\t") for row in page.locator(".runs tbody tr").all_inner_texts()]
    assert [row[0].removesuffix("best").strip() for row in rows] == [
        plain["runs"][number]["title"].removeprefix("<b>lora/") for number in plain["ranking"]
    ]
    assert [row[2] for row in rows] == ["6.00", "5.88", "4.50"]
    assert "failed 1" in rows[0][4]
    best = plain["runs"][2]["best"]
    assert f"{best['mean_difference']:+.2f}".replace("-", "−") in rows[1][5]
    link = page.locator(".runs tbody a").first.get_attribute("href") or ""
    assert (series.parent / unquote(link)).is_file()
    page.get_by_role("button", name="Step", exact=True).click()
    assert page.locator("th[aria-sort='ascending']").inner_text() == "Step"
    assert [row.split("\t")[1] for row in page.locator(".runs tbody tr").all_inner_texts()] == ["100", "200", "300"]


def test_the_reader_chooses_what_the_plot_shows(opened: Visit) -> None:
    page = opened.page
    page.get_by_role("radio", name="style").click()
    assert page.locator(".readout-value").inner_text() == "7.25"
    page.get_by_role("radio", name="clean").click()
    assert page.locator(".readout-value").inner_text() == "2.94"
    page.get_by_role("radio", name="style").click()
    page.keyboard.press("ArrowUp")
    assert page.locator(".metric[aria-checked=true] .name").inner_text() == "物理"
    page.get_by_role("button", name="Ranked").click()
    assert page.locator(".ranked [role=option] .ranked-value").all_inner_texts() == ["5.00", "4.50", "4.00"]
    assert "plot=rank" in page.url


def test_one_slider_moves_every_part_of_the_page(opened: Visit, series: Path) -> None:
    page = opened.page
    assert current(opened) == "Step 300"
    page.locator(".gallery > .timeline input").focus()
    page.keyboard.press("ArrowLeft")
    assert current(opened) == "Step 200"
    assert page.locator(".readout-name b").inner_text() == "Step 200"
    assert "checkpoint-200" in page.locator(".runs tr.current").inner_text()
    failing = page.locator(".card", has_text="p2")
    assert PWN in failing.inner_text()
    assert failing.locator(".card-score").inner_text() == "failed"
    page.keyboard.press("[")
    assert failing.locator(".card-score").inner_text() == "5.00"
    opened.wait_for("location.hash.includes('run=20260101_000001')")
    page.locator(".plot").focus()
    page.keyboard.press("End")
    assert current(opened) == "Step 300"
    assert page.locator(".plot").get_attribute("aria-valuetext") == f"Step 300 5.88 {interval_text(series)}"
    opened.wait_for_pictures()
    sources = page.locator(".card img").evaluate_all("(images) => images.map((image) => image.naturalWidth)")
    assert sources == [64] * 8


def test_pairs_are_ordered_by_their_change_between_two_runs(opened: Visit, series: Path) -> None:
    page = opened.page
    first, *_ = json.loads(series.with_suffix(".json").read_text(encoding="utf-8"))["changes"]
    worse, better = ([pair["pair_id"] for pair in first[name]] for name in ("worse", "better"))
    assert names(opened) == [*worse, *reversed(better)] == ["p2", "p3", "p1", "p0"]
    page.get_by_label("Order").select_option("better")
    assert names(opened)[0] == "p0"
    page.get_by_label("From → to").select_option(label="200 → 300")
    assert names(opened) == ["p0", "p1", "p3", "p2"]
    page.get_by_label("Change", exact=True).select_option("unknown")
    assert names(opened) == ["p2"]
    page.get_by_label("Change", exact=True).select_option("")
    page.get_by_label("Show", exact=True).select_option("strip")
    assert page.locator(".strip-card").count() == 4
    assert page.locator(".strip-card").first.locator("img").count() == 4


def test_a_pair_is_shown_run_by_run_with_its_scores_and_the_reasons_of_missing_ones(opened: Visit) -> None:
    page = opened.page
    page.locator(".card", has_text="p2").click()
    dialog = page.locator("dialog.detail")
    assert dialog.locator("h2 .score").inner_text() == "2.00"
    page.keyboard.press("ArrowLeft")
    assert dialog.locator("h2 .state").inner_text() == "failed"
    page.keyboard.press("ArrowLeft")
    assert dialog.locator("h2 .score").inner_text() == "5.00"
    assert "20260101_000001" in (dialog.locator(".over img").get_attribute("src") or "")
    assert dialog.locator(".frame[aria-pressed=true]").inner_text().split() == ["100", "5.00"]
    assert PWN in dialog.locator(".pair-scores").inner_text()
    dialog.get_by_label("right picture").select_option(label="Step 300")
    assert dialog.locator("h2 .score").inner_text() == "2.00"
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert page.evaluate("window.pwned") is None
    page.locator("[id='left.out.series'] summary").click()
    assert PWN in page.locator("[id='left.out.series']").inner_text()


@pytest.mark.slow
def test_it_speaks_chinese_and_fits_a_phone(chromium: Browser, series: Path) -> None:
    with visit(chromium, viewport={"width": 390, "height": 800}, locale="zh-CN", color_scheme="dark") as visitor:
        visitor.open(series)
        page = visitor.page
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert current(visitor) == "第 300 步"
        assert page.evaluate(wide) == 0
        page.locator(".card").first.click()
        assert page.evaluate(wide) == 0
        assert page.locator("dialog.detail").evaluate("(dialog) => dialog.scrollWidth - dialog.clientWidth") == 0
        page.keyboard.press("Escape")
        page.get_by_role("button", name="English").click()
        assert current(visitor) == "Step 300"
        assert visitor.complaints == []


def test_models_without_steps_make_a_leaderboard_that_says_what_is_missing(visitor: Visit, tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path, 1, rows_of([5.0, 5.0]), f"org/{PWN}"),
        made_run(
            tmp_path,
            2,
            rows_of([8.0, 9.0]),
            "org/good",
            reward={"type": "qwen3_vl", "model_name": "x"},
        ),
        made_run(
            tmp_path,
            3,
            [*rows_of([8.0, 8.0]), msgspec.structs.replace(planned("more", "style"), instruction=PWN)],
            "org/fair",
        ),
        made_run(tmp_path, 4, rows_of([None, None]), "org/broken", notes=[f"look out {PWN}"]),
    ]
    write_series(runs, tmp_path)
    visitor.open(tmp_path / "series.html")
    text = visitor.page.inner_text("main")
    assert "Without a score: org/broken" in text
    assert f"org/broken: look out {PWN}" in text
    ranked = visitor.page.locator(".ranked [role=option]").all_inner_texts()
    assert ranked[0].startswith("org/good")
    assert "no pair has a score" in ranked[-1]
    assert visitor.page.locator(".plot").count() == 0
    for word in ("undefined", "NaN", "[object Object]", "null"):
        assert word not in text
    assert visitor.page.evaluate("window.pwned") is None


def test_one_run_without_pictures_or_scores_makes_a_page_all_the_same(visitor: Visit, tmp_path: Path) -> None:
    run = made_run(tmp_path, 1, [planned("1", "a")], "checkpoint-1")
    write_series([run], tmp_path)
    visitor.open(tmp_path / "series.html")
    assert "No run has a score." in visitor.page.inner_text("main")
    assert names(visitor) == ["1"]
    assert visitor.page.locator(".timeline").count() == 0
