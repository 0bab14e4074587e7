"""The page of a run in a real browser, opened from disk: it shows, filters, sorts, compares, and asks for nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from scheduler.store.rows import Row
from tests.browser import Visit, visit
from tests.scheduler.report.gallery.made import STAMP, mixed_rows, plain_rows, run_with_pictures
from tests.scheduler.rows import edited, planned, scored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a folder #1?")
    run_with_pictures(folder, mixed_rows())
    return folder


@pytest.fixture(scope="module")
def page_file(output: Path) -> Path:
    return output / f"evaluation_report_{STAMP}.html"


@pytest.fixture
def opened(visitor: Visit, page_file: Path) -> Visit:
    visitor.open(page_file)
    return visitor


def ids(visitor: Visit) -> list[str]:
    """The ids of the cards, as they stand."""
    return visitor.page.locator(".card .name").all_inner_texts()


def detail(visitor: Visit) -> Locator:
    return visitor.page.locator("dialog.detail")


def heading(visitor: Visit) -> str:
    return detail(visitor).locator("h2 .name").inner_text()


def test_it_opens_from_disk_and_requests_only_the_runs_own_pictures(opened: Visit, output: Path) -> None:
    opened.page.locator(".card").first.click()
    opened.page.keyboard.press("j")
    opened.wait_for_pictures()
    assert all(url.startswith(("file:", "data:")) for url in opened.requests), opened.requests
    asked = {Path(unquote(urlsplit(url).path)) for url in opened.requests if url.startswith("file:")}
    assert {path.name for path in asked if path.parent == output} == {f"evaluation_report_{STAMP}.html"}
    pictures = {path for path in asked if path.parent != output}
    assert all(path.is_file() and path.is_relative_to(output / "runs" / STAMP) for path in pictures)
    assert {path.relative_to(output / "runs" / STAMP).parts[0] for path in pictures} == {"thumbnails", "images"}


def test_pictures_are_really_shown(opened: Visit) -> None:
    opened.wait_for_pictures()
    sizes = opened.page.evaluate(
        "[...document.querySelectorAll('.card img')].map((image) => [image.naturalWidth, image.naturalHeight])"
    )
    assert sizes == [[64, 48]] * 10


def test_a_page_moved_together_with_its_run_still_shows_its_pictures(
    visitor: Visit, output: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(output, tmp_path / "moved")
    visitor.open(moved / f"evaluation_report_{STAMP}.html")
    visitor.wait_for_pictures()
    assert visitor.page.evaluate("[...document.querySelectorAll('.card img')].every((image) => image.naturalWidth)")
    assert all(str(moved) in unquote(url) for url in visitor.requests if url.startswith("file:"))


def test_head_and_table_say_what_the_run_is_and_found(opened: Visit) -> None:
    head = opened.page.locator(".masthead").inner_text()
    assert "incomplete" in head
    assert "The editor is simulated" in head
    assert opened.page.locator("h1").inner_text().startswith("checkpoints/900")
    assert opened.page.title().startswith(f"checkpoints/900 · {STAMP} · ")
    rows = opened.page.locator(".results tbody tr").all_inner_texts()
    assert [re.split(r"\s+", row)[0] for row in rows] == ["physics", "社会"]
    assert "2 / 3" in rows[0]
    assert "1.00" in rows[0]
    charts = opened.page.locator(".results svg[role=img]")
    assert charts.count() == 3
    assert "Distribution of 4 scores, mean 1.50" in (charts.last.get_attribute("aria-label") or "")


def test_what_failed_is_shown_with_its_reason_in_the_place_of_a_picture(opened: Visit) -> None:
    opened.page.get_by_label("Status").select_option("failed")
    assert sorted(ids(opened)) == ["heavy", "torn"]
    assert "oom: CUDA out of memory" in opened.page.locator(".card", has_text="heavy").inner_text()
    opened.page.locator("#failures > summary").click()
    assert opened.page.locator("#failures tbody tr").count() == 2
    opened.page.locator("#failures tbody button", has_text="torn").click()
    assert heading(opened) == "torn"
    assert "bad_image" in detail(opened).inner_text()


def test_pairs_are_sorted_lowest_first_and_as_chosen(opened: Visit) -> None:
    assert ids(opened) == ["p0", "p1", "p2", "p3", "torn", "heavy", "waiting"]
    order = opened.page.get_by_label("Order")
    order.select_option("best")
    assert ids(opened) == ["p3", "p2", "p1", "p0", "torn", "heavy", "waiting"]
    order.select_option("slowest")
    assert ids(opened)[:4] == ["p3", "p1", "p2", "p0"]
    order.select_option("category")
    assert ids(opened) == ["p0", "p2", "torn", "p1", "p3", "heavy", "waiting"]


@pytest.mark.slow
def test_filters_work_together_and_are_in_the_address(opened: Visit, chromium: Browser, page_file: Path) -> None:
    page = opened.page
    page.get_by_label("Category").select_option("physics")
    assert sorted(ids(opened)) == ["p0", "p2", "torn"]
    page.get_by_label("lowest score").fill("1")
    assert ids(opened) == ["p2"]
    page.get_by_label("lowest score").fill("")
    page.get_by_label("Search").fill("REPLY 0")
    assert ids(opened) == ["p0"]
    page.get_by_label("Search").fill("reply 0 nowhere")
    assert ids(opened) == []
    assert page.get_by_text("No pair matches.").is_visible()
    page.get_by_label("Search").fill("thing 2")
    assert page.locator("output.count").inner_text() == "1 of 7"

    with visit(chromium) as other:
        other.open(page_file, page.url.partition("#")[2])
        assert ids(other) == ["p2"]
        assert other.page.get_by_label("Search").input_value() == "thing 2"

    page.get_by_role("button", name="Clear").click()
    assert len(ids(opened)) == 7
    assert "#" not in page.url


def test_a_category_of_the_table_shows_its_pairs(opened: Visit) -> None:
    opened.page.locator(".results").get_by_role("button", name="社会").click()
    assert sorted(ids(opened)) == ["heavy", "p1", "p3", "waiting"]
    assert opened.page.get_by_label("Category").input_value() == "社会"


def test_the_detail_view_has_everything_and_its_address_leads_back_to_it(opened: Visit, page_file: Path) -> None:
    opened.page.locator(".card", has_text="p3").click()
    text = detail(opened).inner_text()
    for part in ("p3", "社会", "3.00", "do thing 3", "a thing", "reply 3", "64 × 48", "editor-0", "reward-0"):
        assert part in text
    link = detail(opened).get_by_role("link", name=re.compile("full size"))
    assert unquote(link.get_attribute("href") or "") == f"runs/{STAMP}/images/社会/p3.png"
    assert (
        detail(opened).locator(".over img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 128
    )

    opened.open(page_file, opened.page.url.partition("#")[2])
    assert heading(opened) == "p3"


def test_the_slider_uncovers_the_edit_by_mouse_and_by_keyboard(opened: Visit) -> None:
    page = opened.page
    page.locator(".card").first.click()
    box = page.locator(".stage.slider").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 20)
    cut = page.locator(".stage.slider").evaluate("(stage) => parseFloat(stage.style.getPropertyValue('--cut'))")
    assert cut == pytest.approx(25, abs=0.5)
    clip = page.locator(".stage .over").evaluate("(layer) => getComputedStyle(layer).clipPath")
    assert float(re.findall(r"([\d.]+)%\)", clip)[0]) == pytest.approx(cut)
    page.locator(".wipe").focus()
    page.keyboard.press("End")
    assert page.locator(".wipe").input_value() == "100"
    page.keyboard.press("ArrowLeft")
    assert float(page.locator(".wipe").input_value()) < 100
    assert heading(opened) == "p0"


def test_source_and_edit_can_take_turns_and_stand_side_by_side(opened: Visit) -> None:
    page = opened.page
    page.locator(".card").first.click()
    page.get_by_role("button", name="Flip").click()
    shown = page.locator(".stage.flip .layer:not(.hidden) img")
    assert "images/" in (shown.get_attribute("src") or "")
    page.locator(".stage.flip").click()
    assert "thumbnails/source/" in (shown.get_attribute("src") or "")
    page.keyboard.press("v")
    assert page.locator(".stage-side img").count() == 2
    page.keyboard.press("Escape")
    page.locator(".card", has_text="p2").click()
    assert page.locator(".stage-side img").count() == 2


def test_everything_can_be_done_by_keyboard(opened: Visit) -> None:
    page = opened.page
    focused = "document.activeElement.querySelector('.name')?.textContent"
    page.keyboard.press("j")
    assert page.evaluate(focused) == "p0"
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "p2"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "torn"  # three columns
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert heading(opened) == "p0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    assert heading(opened) == "p2"
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    assert not detail(opened).is_visible()
    opened.wait_for(f"{focused} === 'p1'")  # the dialog's close event comes later
    page.keyboard.press("/")
    page.keyboard.type("jk? 3")
    assert page.get_by_label("Search").input_value() == "jk? 3"
    page.get_by_label("Search").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.slow
def test_it_speaks_the_readers_language_and_another_when_asked(chromium: Browser, page_file: Path) -> None:
    with visit(chromium, locale="zh-CN") as visitor:
        visitor.open(page_file)
        assert visitor.page.evaluate("document.documentElement.lang") == "zh-CN"
        assert visitor.page.get_by_role("heading", name="图库").is_visible()
        visitor.page.get_by_label("类别").select_option("physics")
        visitor.page.get_by_role("button", name="English").click()
        assert visitor.page.get_by_role("heading", name="Gallery").is_visible()
        assert visitor.page.get_by_label("Category").input_value() == "physics"
        assert len(ids(visitor)) == 3
        visitor.open(page_file)
        assert visitor.page.get_by_role("heading", name="Gallery").is_visible()
        assert visitor.complaints == []


@pytest.mark.slow
def test_it_is_dark_where_the_reader_prefers_that_or_chooses_so(chromium: Browser, page_file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with visit(chromium, color_scheme="dark") as visitor:
        visitor.open(page_file)
        dark = visitor.page.evaluate(ground)
        visitor.page.get_by_role("button", name="Auto").click()
        light = visitor.page.evaluate(ground)
        assert light == "rgb(255, 255, 255)" != dark
        visitor.open(page_file)
        assert visitor.page.evaluate(ground) == light


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 800])
def test_nothing_is_wider_than_the_screen(chromium: Browser, page_file: Path, width: int) -> None:
    with visit(chromium, viewport={"width": width, "height": 800}) as visitor:
        visitor.open(page_file)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert visitor.page.evaluate(wide) == 0
        visitor.page.locator(".card").first.click()
        assert visitor.page.evaluate(wide) == 0
        dialog = detail(visitor)
        assert dialog.evaluate("(dialog) => dialog.scrollWidth - dialog.clientWidth") == 0


def test_several_edits_of_a_pair_can_be_looked_at_one_by_one(visitor: Visit, tmp_path: Path) -> None:
    rows: list[Row] = [planned("1", "a"), *(edited("1", "a", sample=n) for n in range(3))]
    rows += [scored("1", 4.0 + n, "a", sample=n, pass_=p) for n in range(3) for p in range(2)]
    page_file = run_with_pictures(
        tmp_path, rows, manifest={"samples_per_pair": 3, "reward_passes": 2, "round_size": 1}, kept=False
    )
    visitor.open(page_file)
    assert "4.00 (4.00, 4.00)" in visitor.page.locator(".card").inner_text()
    visitor.page.locator(".card").click()
    assert "thumbnails/edit/" in (visitor.page.locator(".over img").get_attribute("src") or "")
    visitor.page.keyboard.press("]")
    assert "thumbnails/edit-sample-1/" in (visitor.page.locator(".over img").get_attribute("src") or "")
    assert detail(visitor).locator(".block .score").first.inner_text() == "5.00"
    visitor.page.get_by_role("button", name="Edit 2").click()
    assert "thumbnails/edit-sample-2/" in (visitor.page.locator(".over img").get_attribute("src") or "")
    assert "pass 1" in detail(visitor).inner_text()
    assert visitor.page.locator("#variance").count() == 1


def test_a_run_without_scores_or_pictures_is_shown_as_well(visitor: Visit, tmp_path: Path) -> None:
    rows: list[Row] = [planned("1", "a"), edited("1", "a")]
    visitor.open(run_with_pictures(tmp_path / "one", rows, drawn=0, manifest={"stages": ["edit"]}))
    assert ids(visitor) == ["1"]
    assert visitor.page.locator(".card img").count() == 0
    visitor.open(run_with_pictures(tmp_path / "none", []))
    assert visitor.page.get_by_text("No pair matches.").is_visible()


def test_a_printed_page_has_every_card_of_the_view(opened: Visit) -> None:
    page = opened.page
    page.set_viewport_size({"width": 700, "height": 300})
    opened.wait_for("document.querySelectorAll('.card').length < 7")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 720, "height": 300})
    assert len(ids(opened)) == 7
    assert not page.locator(".tools").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(ids(opened)) < 7


@pytest.mark.slow
def test_ten_thousand_pairs_are_windowed_filtered_and_reached_by_keyboard(visitor: Visit, tmp_path: Path) -> None:
    visitor.open(run_with_pictures(tmp_path, plain_rows(10_000), drawn=20))
    page = visitor.page
    assert page.locator("output.count").inner_text() == "10,000 of 10,000"
    assert page.locator(".card").count() < 60
    assert page.locator(".card").first.get_attribute("aria-setsize") == "10000"
    page.keyboard.press("j")
    page.keyboard.press("End")
    page.locator(".card[aria-posinset='10000']").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-posinset')") == "10000"
    assert page.locator(".card").count() < 60
    page.get_by_label("Search").fill("thing 9876")
    assert page.locator("output.count").inner_text() == "1 of 10,000"
    assert ids(visitor) == ["p9876"]
    page.get_by_label("Search").fill("")
    page.evaluate("scrollTo(0, 500_000)")
    visitor.wait_for("document.querySelector('.card').ariaPosInSet > 1000")
    page.get_by_label("Order").select_option("best")
    first = page.locator(".card[aria-posinset='1']")
    assert first.evaluate("(card) => card.getBoundingClientRect().top > 0")
    assert set(page.locator(".card .score").all_inner_texts()) == {"10.00"}
