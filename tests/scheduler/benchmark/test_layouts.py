"""Folder layouts of public benchmarks: paths as the authors' scripts read them, and the way back to the pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.edits_elsewhere import EditsElsewhere, ImagesError
from scheduler.benchmark.edits_elsewhere_files import find_edits
from scheduler.benchmark.layouts import LAYOUTS, PlacedPair, UnsuitablePairError
from scheduler.benchmark.pairs import Details
from tests.scheduler.benchmark.test_edits_elsewhere import named, put

PATHS = [
    ("plain", PlacedPair("物理", "001"), "物理/001"),
    ("gedit", PlacedPair("subject-add", "8ab3", "en"), "fullset/subject-add/en/8ab3"),
    ("gedit", PlacedPair("ps_human", "77-cn", "cn", facts={"key": "77"}), "fullset/ps_human/cn/77"),
    ("imgedit", PlacedPair("adjust", "1082"), "1082"),
    ("imgedit_uge", PlacedPair("uge", "31"), "31"),
    (
        "risebench",
        PlacedPair("logical_reasoning", "logical_reasoning_7"),
        "images/logical_reasoning/logical_reasoning_7",
    ),
    ("kris", PlacedPair("rule-based_reasoning", "12"), "rule-based_reasoning/12"),
    ("unicbench", PlacedPair("Background Change", "b857", "en"), "Background_Change/en/b857"),
]


def benchmark(data_format: str, *pairs: tuple[str, str], language: str | None = None, **facts: Any) -> Benchmark:
    details = Details(language=language, facts=facts)
    made = tuple(
        Pair(number, category, pair_id, "do it", "", source=None, sha256="0" * 64, details=details)  # type: ignore[arg-type]
        for number, (category, pair_id) in enumerate(pairs)
    )
    return Benchmark("data", data_format, (), made, (), (), "0")


@pytest.mark.parametrize(("layout", "pair", "path"), PATHS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_layout_names_an_edit_as_the_authors_script_does(layout: str, pair: PlacedPair, path: str) -> None:
    assert "/".join(LAYOUTS.get(layout).names(pair)) == path


def test_an_edit_of_gedit_is_named_by_its_key_where_the_id_ends_with_the_language() -> None:
    pair = PlacedPair("ps_human", "77-cn", "cn", facts={"key": "77"})
    assert LAYOUTS.get("gedit").names(pair) == ("fullset", "ps_human", "cn", "77")


@pytest.mark.parametrize("layout", LAYOUTS.names())
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../..", "a\0", "\ud800", "长" * 100])
def test_no_name_leads_out_of_the_folder_or_is_one_that_no_file_can_have(layout: str, name: str) -> None:
    by_key = PlacedPair("c", "1", "en", facts={"key": name})
    for pair in (PlacedPair("c", name, "en"), PlacedPair(name, "1", "en"), PlacedPair("c", "1", name), by_key):
        try:
            names = LAYOUTS.get(layout).names(pair)
        except UnsuitablePairError:
            continue
        assert name not in names
        assert all(part not in ("", ".", "..") and "/" not in part for part in names)


@given(st.sampled_from(LAYOUTS.names()), st.text(), st.text(), st.one_of(st.none(), st.text()))
def test_whatever_a_pair_is_called_its_path_stays_within_the_folder(
    layout: str, category: str, pair_id: str, language: str | None
) -> None:
    try:
        names = LAYOUTS.get(layout).names(PlacedPair(category, pair_id, language))
    except UnsuitablePairError:
        return
    assert Path("/a").joinpath(*names).parts == ("/", "a", *names)
    assert ".." not in names


@pytest.mark.parametrize("layout", ["gedit", "unicbench"])
def test_a_layout_with_a_folder_for_each_language_needs_the_language(layout: str) -> None:
    with pytest.raises(UnsuitablePairError, match="its language is not known"):
        LAYOUTS.get(layout).names(PlacedPair("a", "1"))


def look(folder: Path, data: Benchmark, samples: int = 1, layout: str | None = None) -> tuple[EditsElsewhere, Any]:
    edits = find_edits(folder, data, samples, layout)
    return edits, named(edits, folder)


@pytest.mark.parametrize(
    ("layout", "pair", "path"), PATHS[1:], ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_images_of_an_official_folder_find_their_pairs_without_being_told_the_layout(
    tmp_path: Path, layout: str, pair: PlacedPair, path: str
) -> None:
    put(tmp_path / "model" / f"{path}.png", tmp_path / "model-sample-1" / f"{path}.jpg")
    data = benchmark(layout, (pair.category, pair.pair_id), language=pair.language, **pair.facts)
    edits, images = look(tmp_path / "model", data, 2)
    key = f"{pair.category}/{pair.pair_id}"
    assert images == {f"{key}/0": f"{path}.png", f"{key}/1": f"../model-sample-1/{path}.jpg"}
    assert (edits.asked, edits.warnings, edits.refused) == (2, (), {})


def test_an_edit_without_an_image_is_told_where_one_is_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "fullset" / "ps_human" / "en" / "1.png")
    edits, _ = look(tmp_path, benchmark("gedit", ("ps_human", "1"), ("ps_human", "2"), language="en"), 2)
    assert {unit.job: path for unit, path in edits.missing.items()} == {
        "ps_human/1/1": f"{tmp_path}-sample-1/fullset/ps_human/en/1.png",
        "ps_human/2/0": "fullset/ps_human/en/2.png",
        "ps_human/2/1": f"{tmp_path}-sample-1/fullset/ps_human/en/2.png",
    }


def test_sources_beside_the_edits_are_no_edits_and_other_images_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "fullset" / "ps_human"
    put(*(folder / "en" / name for name in ("1.png", "1_SRCIMG.png", "9.png", "9_SRCIMG.png")), folder / "cn" / "1.png")
    put(tmp_path / "scores" / "a" / "b" / "chart.png", tmp_path / "logo.png", folder / "en" / "1.jpg")
    edits, images = look(tmp_path, benchmark("gedit", ("ps_human", "1"), ("ps_human", "2"), language="en"))
    assert images == {"ps_human/1/0": "fullset/ps_human/en/1.png"}
    strangers, doubles = edits.warnings
    assert strangers.startswith("3 images of no pair")
    assert all(name in strangers for name in ("fullset/ps_human/cn/1.png", "fullset/ps_human/en/9.png", "logo.png"))
    assert "fullset/ps_human/en/1.jpg (beside fullset/ps_human/en/1.png)" in doubles


def test_warmbenchs_own_layout_is_recognized_for_the_data_of_any_benchmark(tmp_path: Path) -> None:
    put(tmp_path / "images" / "temporal" / "t_1.png")
    data = benchmark("risebench", ("temporal", "t_1"))
    assert look(tmp_path, data)[0].layout == "risebench"
    inner, images = look(tmp_path / "images", data)
    assert (inner.layout, images) == ("plain", {"temporal/t_1/0": "temporal/t_1.png"})


def test_two_layouts_that_agree_are_no_doubt_and_two_that_differ_have_to_be_chosen_from(tmp_path: Path) -> None:
    put(tmp_path / "kris" / "biology" / "1.png", tmp_path / "both" / "a" / "1.png", tmp_path / "both" / "1.png")
    assert look(tmp_path / "kris", benchmark("kris", ("biology", "1")))[0].layout == "kris"
    data = benchmark("imgedit", ("a", "1"))
    with pytest.raises(ImagesError, match="has images of the layouts imgedit and plain: choose with --layout"):
        find_edits(tmp_path / "both", data, 1)
    assert look(tmp_path / "both", data, 1, "imgedit")[1] == {"a/1/0": "1.png"}
    assert look(tmp_path / "both", data, 1, "plain")[1] == {"a/1/0": "a/1.png"}


def test_an_image_that_has_the_place_of_two_pairs_counts_for_none_and_both_are_named(tmp_path: Path) -> None:
    put(tmp_path / "1.png", tmp_path / "2.png")
    edits, images = look(tmp_path, benchmark("json", ("a", "1"), ("b", "1"), ("b", "2")), 1, "imgedit")
    assert images == {"b/2/0": "2.png"}
    assert {unit.key for unit in edits.refused} == {"a/1", "b/1"}
    assert set(edits.refused.values()) == {"1.png has the place of several pairs: a/1, b/1"}


def test_a_folder_without_any_edit_is_told_what_was_expected_in_each_layout(tmp_path: Path) -> None:
    put(tmp_path / "results" / "1.png")
    expected = rf"expected is, for instance, {tmp_path}/fullset/ps_human/en/1\.png or {tmp_path}/ps_human/1\.png"
    with pytest.raises(ImagesError, match=expected):
        find_edits(tmp_path, benchmark("gedit", ("ps_human", "1"), language="en"), 1)


def test_a_layout_that_is_unknown_or_does_not_suit_the_data_is_named(tmp_path: Path) -> None:
    data = benchmark("json", ("a", "1"))
    with pytest.raises(ImagesError, match=r"there is no layout 'gedlt'; known here: plain, gedit,"):
        find_edits(tmp_path, data, 1, "gedlt")
    with pytest.raises(ImagesError, match="the layout gedit does not suit the data: a/1: its language is not known"):
        find_edits(tmp_path, data, 1, "gedit")
    (tmp_path / "edits.jsonl").write_text('{"id": "a/1", "image_path": "1.png"}')
    with pytest.raises(ImagesError, match="is a list, and only folders have a layout"):
        find_edits(tmp_path / "edits.jsonl", data, 1, "imgedit")
