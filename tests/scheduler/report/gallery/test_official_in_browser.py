"""The page of a run that a protocol judged, in a real browser: its numbers on top, dimensions, all images, hostile
replies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from scheduler.store.rows import PlannedRow, Row
from scheduler.store.run_directory import thumbnail_path
from tests.browser import Visit, visit
from tests.scheduler.report import official_rows
from tests.scheduler.report.gallery.made import STAMP, picture, run_with_pictures, write_page
from tests.scheduler.report.official_rows import answered, complete_rows, judged, manifest
from tests.scheduler.rows import edited, failed, planned

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PWN = "window.pwned=1"
ATTACK = f"</script><script>{PWN}</script><img src=x onerror='{PWN}'>"


@pytest.fixture(scope="module", autouse=True)
def protocol() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        official_rows.register(patched)
        yield


def with_images(row: PlannedRow) -> PlannedRow:
    images = {"source_2": "a" * 64, "reference": "b" * 64, "mask": "c" * 64}
    return msgspec.structs.replace(row, images=images, reference="a red disc", task="addition", language="en")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scored pairs, one of which has further images, and one whose second question failed."""
    output = tmp_path_factory.mktemp("official")
    rows = [with_images(row) if row == planned("2", "add") else row for row in complete_rows()]
    assert isinstance(rows[5], PlannedRow)
    rows += [planned("3", "add"), edited("3", "add"), answered("3", "add", "look", {"flaws": 4.0})]
    refused = failed("3", "add", stage="score", kind="filtered", message="the filter refused it", pass_=0)
    rows.append(msgspec.structs.replace(refused, question="edit"))
    run_with_pictures(output, rows, manifest=manifest(full_items=1212))
    run = output / "runs" / STAMP
    for name in ("source_2", "reference"):
        path = Path(thumbnail_path(run, "add", "2", name))
        path.parent.mkdir(parents=True)
        picture(name).save(path)
    return write_page(run, output)


def ids(visitor: Visit) -> list[str]:
    return visitor.page.locator(".card .name").all_inner_texts()


def test_the_official_block_is_on_top_with_numbers_and_deviations(visitor: Visit, page_file: Path) -> None:
    visitor.open(page_file)
    block = visitor.page.locator(".official")
    text = block.inner_text()
    assert "Official numbers: example" in text
    assert "not comparable with published numbers" in text
    assert "The run has 5 items of 1212." in text
    assert "1 of 5 items has no score (filtered: 1)." in text
    figures = [figure.splitlines() for figure in block.locator(".figure").all_inner_texts()]
    assert [figure[:2] for figure in figures] == [["Average", "—"], ["Flaws", "1.600"]]
    block.get_by_text("All official numbers").click()
    rows = [row.split("\t") for row in block.locator("tbody tr").all_inner_texts()]
    assert [row[:2] for row in rows] == [
        ["Average", "—"], ["add/Score", "—"], ["remove/Score", "8.500"], ["Flaws", "1.600"]
    ]  # fmt: skip
    assert rows[0][2] == "—"
    assert rows[2][2].startswith("[")
    block.get_by_text("How they were made").click()
    how = block.locator("dl.facts").inner_text()
    for part in ("2b06cc1", "gpt-4.1 · openai · temperature: 0", "gpt-4.1 (fp_1) × 9", "4 of 5 scored", "c" * 64):
        assert part in how


@pytest.mark.slow
def test_pairs_are_filtered_and_sorted_by_each_dimension(visitor: Visit, page_file: Path) -> None:
    visitor.open(page_file)
    page = visitor.page
    page.get_by_label("Value").select_option("flaws")
    page.get_by_label("Order").select_option("best")
    assert ids(visitor) == ["3", "2", "1", "2", "1"]
    assert page.get_by_label("highest score").get_attribute("placeholder") == "5"
    page.get_by_label("lowest score").fill("3")
    assert ids(visitor) == ["3", "2"]
    assert "flaws 4.00" in page.locator(".card").first.inner_text()
    address = page.url.partition("#")[2]
    page.get_by_label("Value").select_option("follows")
    assert ids(visitor) == ["1", "2", "1", "2", "3"]
    visitor.open(page_file, address)
    assert ids(visitor) == ["3", "2"]
    visitor.open(page_file, "by=__proto__&low=1")
    assert len(ids(visitor)) == 4


def test_a_pair_shows_all_its_images_and_every_question_with_its_reply(visitor: Visit, page_file: Path) -> None:
    visitor.open(page_file, "pair=add/2")
    page = visitor.page
    page.get_by_role("button", name="Side by side").click()
    captions = page.locator(".stage-side figcaption").all_inner_texts()
    assert captions == ["Source", "Edit", "Source 2", "Reference", "Mask"]
    visitor.wait_for_pictures()
    assert page.locator(".stage-side img").count() == 4
    text = page.locator(".detail-body").inner_text()
    for part in ("a red disc", "addition", "Question: edit", '{"follows": 4, "keeps": 9}', "Question: look", "gpt-4.1"):
        assert part in text
    visitor.open(page_file, "pair=add/3")
    text = page.locator(".detail-body").inner_text()
    assert "Failure · score · filtered · Question: edit" in text
    assert '{"flaws": 4.0}' in text


@pytest.mark.slow
def test_hostile_replies_names_and_files_are_shown_as_text(chromium: Browser, tmp_path: Path) -> None:
    rows: list[Row] = [
        msgspec.structs.replace(with_images(planned("1", "a")), reference=ATTACK, task=ATTACK, subsets=[ATTACK]),
        edited("1", "a"),
        *judged("1", "a", 5, 5, 5),
        answered("1", "a", ATTACK, {ATTACK: 1.0, "__proto__": 2.0}, response=ATTACK),
    ]
    hostile = manifest(version=ATTACK, files={ATTACK: ATTACK}, commit=ATTACK, tried_commit=None)
    hostile["official"]["judge"] |= {"model": ATTACK, "parameters": {ATTACK: ATTACK, "temperature": ATTACK}}
    page_file = run_with_pictures(tmp_path, rows, manifest=hostile)
    with visit(chromium) as visitor:
        visitor.open(page_file, "pair=a/1")
        page = visitor.page
        text = page.locator(".detail-body").inner_text()
        assert text.count(ATTACK) == 6, "reference, task, subset, question, dimension, reply"
        page.keyboard.press("Escape")
        page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
        assert page.locator(".official").inner_text().count(ATTACK) >= 5
        page.get_by_label("Value").select_option("__proto__")
        assert page.locator(".card").count() == 1
        assert page.evaluate("window.pwned") is None
        assert visitor.complaints == []
