"""The page of a comparison: every run's edit of a pair beside the others, the largest difference first."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from rich.console import Console

from scheduler.commands.compare import compare_runs
from scheduler.report.saved_run import read_run
from scheduler.store.rows import Row
from tests.browser import Visit
from tests.scheduler.report.gallery.made import run_with_pictures, without_nulls
from tests.scheduler.rows import edited, failed, planned, scored

RUNS = ("20251023_230000", "20251024_101500", "20251025_080000", "20251026_080000", "20251027_080000")
_DATA = re.compile(rb'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def rows_of(scores: dict[str, float | None], *, instruction: str = "do it") -> list[Row]:
    """Pairs with these scores, in category ``a`` if their name begins so, else in ``b``; None is one that failed."""
    rows: list[Row] = []
    for name, score in scores.items():
        category = "a" if name.startswith("a") else "b"
        rows.append(msgspec.structs.replace(planned(name, category), instruction=instruction))
        if score is None:
            rows.append(failed(name, category, message="<img src=x onerror=alert(1)>"))
            continue
        edit = msgspec.structs.replace(edited(name, category), image=f"images/{category}/{name}.png")
        rows += [edit, scored(name, score, category, response=f"<b>reply {name}</b>")]
    return rows


def compared(output: Path, runs: Sequence[list[Row]], checkpoints: Sequence[str] = ("", "", "", "", "")) -> Path:
    for stamp, rows, checkpoint in zip(RUNS, runs, checkpoints, strict=False):
        run_with_pictures(output, rows, stamp=stamp, manifest={"workers": [], "editor": {"model_name": checkpoint}})
    saved = [read_run(output / "runs" / stamp, output) for stamp in RUNS[: len(runs)]]
    compare_runs(Console(file=io.StringIO()), saved, output, None)
    return output / f"{'_'.join(['comparison', *RUNS[: len(runs)]])}.html"


def data_of(page: Path) -> dict[str, Any]:
    (embedded,) = _DATA.findall(page.read_bytes())
    data: dict[str, Any] = json.loads(embedded)
    return data


FIRST = rows_of({"a1": 5.0, "a2": 5.0, "a3": 5.0, "b1": 5.0, "b2": None, "b3": 1.0})
OTHER = rows_of({"a1": 5.0, "a2": 8.0, "a3": 1.0, "b1": 6.0, "b2": 4.0, "b4": 9.0})


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compared(tmp_path_factory.mktemp("compared"), [FIRST, OTHER])


@pytest.fixture
def opened(visitor: Visit, page_file: Path) -> Iterator[Visit]:
    visitor.open(page_file)
    yield visitor
    assert all(url.startswith(("file:", "data:")) for url in visitor.requests)


def ids(visitor: Visit) -> list[str]:
    return visitor.page.locator(".card .name").all_inner_texts()


def test_it_is_beside_the_other_forms_and_embeds_the_json_form(page_file: Path) -> None:
    assert page_file.with_suffix(".md").is_file()
    plain = json.loads(page_file.with_suffix(".json").read_text(encoding="utf-8"))
    data = data_of(page_file)
    assert data["comparison"] == without_nulls(plain)
    (comparison,) = plain["comparisons"]
    assert comparison["overall"]["mean_difference"] == 0
    assert [len(comparison[name]) for name in ("not_comparable", "without_score", "only_in_first")] == [0, 1, 1]
    assert sorted(pair["pair_id"] for pair in data["pairs"]) == ["a1", "a2", "a3", "b1", "b2", "b3", "b4"]


def test_pairs_that_do_not_count_are_listed_with_the_reason(opened: Visit, tmp_path: Path) -> None:
    opened.page.locator("[id='left.out'] > summary").click()
    rows = opened.page.locator("[id='left.out'] tbody tr").all_inner_texts()
    assert [row.split("\t")[1:] for row in rows] == [
        ["b2", "no score in one of the runs"],
        ["b3", "in A alone"],
        ["b4", "in B alone"],
    ]
    other = compared(tmp_path, [rows_of({"a1": 1.0}), rows_of({"a1": 1.0}, instruction="something else")])
    opened.open(other)
    assert "another instruction" in opened.page.locator(".card").inner_text()


def test_the_largest_difference_comes_first_whichever_way_it_goes(opened: Visit) -> None:
    assert ids(opened)[:4] == ["a3", "a2", "b1", "a1"]
    marks = opened.page.locator(".card .card-head .score").all_inner_texts()
    assert marks == ["−4.00", "+3.00", "+1.00", "0.00"]
    opened.page.get_by_label("Order").select_option("gains")
    assert ids(opened)[:4] == ["a2", "b1", "a1", "a3"]
    opened.page.get_by_label("Outcome").select_option("loss")
    assert ids(opened) == ["a3"]
    opened.page.get_by_label("Outcome").select_option("left_out")
    assert sorted(ids(opened)) == ["b2", "b3", "b4"]


def test_both_edits_and_the_source_are_shown_and_slid_over_each_other(opened: Visit, page_file: Path) -> None:
    opened.wait_for_pictures()
    card = opened.page.locator(".card", has_text="a3")
    assert card.locator("img").evaluate_all("(images) => images.map((image) => image.naturalWidth)") == [64, 64, 64]
    card.click()
    sources = opened.page.locator(".stage.slider img").evaluate_all(
        "(images) => images.map((image) => image.getAttribute('src'))"
    )
    assert [unquote(url) for url in sources] == [f"runs/{stamp}/images/a/a3.png" for stamp in RUNS[:2]]
    opened.page.get_by_label("left picture").select_option("0")
    assert "thumbnails/source" in (opened.page.locator(".stage.slider img").first.get_attribute("src") or "")
    assert "<b>reply a3</b>" in opened.page.locator("dialog.detail").inner_text()
    link = opened.page.locator("dialog.detail").get_by_role("link", name="its own gallery").first
    assert link.get_attribute("href") == f"evaluation_report_{RUNS[0]}.html#pair=a%2Fa3"


def test_the_table_has_the_figures_of_the_json_form_and_no_value_that_does_not_exist(
    opened: Visit, page_file: Path
) -> None:
    (comparison,) = data_of(page_file)["comparison"]["comparisons"]
    groups = [*comparison["categories"].items(), ("Overall", comparison["overall"])]
    rows = opened.page.locator(".verdict tbody tr, .verdict tfoot tr").all()
    shown = [row.locator("th, td").all_inner_texts() for row in rows]
    assert [[*row[:2], *row[7:10]] for row in shown] == [
        [name, *(str(group[key]) for key in ("num_pairs", "wins", "ties", "losses"))] for name, group in groups
    ]
    opened.page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
    texts = [opened.page.inner_text("main")]
    opened.page.locator(".card").first.click()
    for _ in data_of(page_file)["pairs"]:
        texts.append(opened.page.inner_text("dialog.detail"))
        opened.page.keyboard.press("j")
    for word in ("undefined", "NaN", "[object Object]", "null"):
        assert not [text for text in texts if word in text], word


def test_a_run_without_an_edit_shows_why(opened: Visit) -> None:
    card = opened.page.locator(".card", has_text="b2")
    assert "<img src=x onerror=alert(1)>" in card.inner_text()
    assert "left out" in card.inner_text()


def test_it_is_called_by_its_checkpoints_and_shows_no_json(visitor: Visit, tmp_path: Path) -> None:
    def reply(*likeliest: int) -> str:
        """A line for each aspect, whose judge wavers between 4 and another number."""
        shares = [{str(number): 0.5 if number in (one, 4) else 0.0 for number in range(11)} for one in likeliest]
        return "\n".join(json.dumps({"mass": 0.9, "numbers": numbers}) for numbers in shares)

    runs: list[list[Row]] = [
        [planned("a1", "a"), edited("a1", "a"), scored("a1", 3.5, "a", method="logits", response=response)]
        for response in (reply(3), reply(2, 1))
    ]
    page_file = compared(tmp_path, runs, ["/data/checkpoints/900", "/data/checkpoints/1000"])
    visitor.open(page_file)
    assert visitor.page.title().startswith("checkpoints/900 / checkpoints/1000 · ")
    assert visitor.page.locator("h1").inner_text() == "A checkpoints/900 · B checkpoints/1000"
    assert "1 of 1 pair scored" in visitor.page.locator(".masthead").inner_text()
    texts = [visitor.page.locator(".card").inner_text()]
    visitor.page.locator(".card").click()
    texts.append(visitor.page.inner_text("dialog.detail"))
    for text in texts:
        assert "3: 50% · 4: 50%" in text
        assert "2: 50% · 4: 50% | 1: 50% · 4: 50%\n" in f"{text}\n"
        assert "numbers" not in text


def test_of_three_runs_the_reader_chooses_which_is_compared_with_the_first(visitor: Visit, tmp_path: Path) -> None:
    third = rows_of({"a1": 9.0, "a2": 5.0, "a3": 5.0, "b1": 4.0})
    page_file = compared(tmp_path, [FIRST, OTHER, third])
    visitor.open(page_file)
    assert visitor.page.locator(".verdict").count() == 2
    all_runs = visitor.page.locator("section.results", has=visitor.page.get_by_role("heading", name="Runs", exact=True))
    assert [row.split(":")[0] for row in all_runs.locator("tbody tr").all_inner_texts()] == ["C", "B", "A"]
    assert "corrected for all 3 comparisons of two runs" in all_runs.inner_text()
    assert ids(visitor)[0] == "a3"
    visitor.page.get_by_label("Compared with A").select_option("C")
    assert ids(visitor)[:2] == ["a1", "b1"]
    assert visitor.page.locator(".card .score.large").first.inner_text() == "+4.00"
    assert visitor.page.locator(".card").first.locator(".picture").count() == 4
    visitor.page.get_by_role("button", name="中文").click()
    assert visitor.page.get_by_label("与 A 对比").input_value() == "C"


def test_of_many_runs_each_comparison_is_folded_and_cards_show_the_chosen_one(visitor: Visit, tmp_path: Path) -> None:
    page_file = compared(tmp_path, [rows_of({"a1": 2.0 + number, "a2": 3.0}) for number in range(5)], list("vwxyz"))
    visitor.open(page_file, "other=E")
    page = visitor.page
    assert page.locator("h1").inner_text() == "4 runs against v"
    assert page.locator(".verdict").count() == 0
    page.locator("#versus-C summary").click()
    assert "+1.00" in page.locator("#versus-C .verdict .figure.main").inner_text()
    assert page.locator(".card").first.locator(".tag").all_inner_texts() == ["Source", "A", "E"]
    page.locator(".card").first.click()
    assert page.get_by_label("right picture").input_value() == "5"
    assert page.locator("dialog.detail .block").count() == 5


def test_runs_without_a_common_pair_make_a_page_all_the_same(visitor: Visit, tmp_path: Path) -> None:
    page_file = compared(tmp_path, [rows_of({"a1": 1.0}), rows_of({"b1": 1.0})])
    visitor.open(page_file)
    assert "No pair has a score in both runs" in visitor.page.inner_text("main")
    assert sorted(ids(visitor)) == ["a1", "b1"]
