"""Edits made elsewhere find their pairs by their names; nothing is taken for another's, and nothing vanishes."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.edits_elsewhere import EditsElsewhere, FoundImage, ImagesError, Places, match
from scheduler.benchmark.edits_elsewhere_files import find_edits
from scheduler.benchmark.layouts import LAYOUTS
from scheduler.benchmark.pairs import BadPair
from scheduler.benchmark.units import EditUnit
from scheduler.store.run_directory import RunDirectory

LONG = "长" * 150


def split(key: str) -> tuple[str, str]:
    category, _, pair_id = key.partition("/")
    return category, pair_id


def benchmark(*keys: str, bad: tuple[str, ...] = ()) -> Benchmark:
    pairs = tuple(
        Pair(number, *split(key), "do it", "", source=None, sha256="0" * 64)  # type: ignore[arg-type]
        for number, key in enumerate(keys)
    )
    broken = tuple(BadPair(len(keys) + number, *split(key), "no_instruction", "") for number, key in enumerate(bad))
    return Benchmark("data", "json", (), pairs, broken, (), "0")


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"an image")


def listed(path: Path, *entries: Any) -> Path:
    lines = (entry if isinstance(entry, str) else json.dumps(entry) for entry in entries)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def named(edits: EditsElsewhere, folder: Path) -> dict[str, str]:
    return {unit.job: os.path.relpath(path, folder) for unit, path in edits.images.items()}


# -- a folder


def test_a_folders_images_are_named_like_their_pairs_in_any_format(tmp_path: Path) -> None:
    put(tmp_path / "物理" / "001.png", tmp_path / "b" / "x.y.WebP", tmp_path / "b" / "3.jpeg")
    edits = find_edits(tmp_path, benchmark("物理/001", "b/x.y", "b/3", "b/4"), 1)
    assert named(edits, tmp_path) == {"物理/001/0": "物理/001.png", "b/x.y/0": "b/x.y.WebP", "b/3/0": "b/3.jpeg"}
    assert (edits.asked, edits.warnings) == (4, ())


def test_what_a_run_has_left_is_found_again_whatever_its_pairs_are_called(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    keys = ("a/1", f"{LONG}/{LONG}", f"a/{LONG}", "a/.hidden", "a/x.png", f"a/x~{'0' * 16}", "Ä/👍🏽")
    paths = {
        EditUnit(*split(key), sample): Path(directory.image_path(*split(key), sample))
        for key in keys
        for sample in range(2)
    }
    put(*paths.values())
    edits = find_edits(directory.path / "images", benchmark(*keys), 2)
    assert edits.images == {unit: str(path) for unit, path in paths.items()}
    assert edits.warnings == ()
    directory.close()


def test_images_without_a_pair_and_second_ones_are_told_and_a_bad_pairs_image_is_not(tmp_path: Path) -> None:
    put(*(tmp_path / "a" / f"{number}.png" for number in range(9)), tmp_path / "top.png", tmp_path / "a" / "0.gif")
    put(tmp_path / "a" / ".0.png", tmp_path / "a" / "notes.txt", tmp_path / "none" / "0.png")
    edits = find_edits(tmp_path, benchmark("a/0", bad=("a/1",)), 1)
    assert named(edits, tmp_path) == {"a/0/0": "a/0.png"}
    strangers, doubles = edits.warnings
    assert strangers.startswith("9 images of no pair")
    assert "a/2.png, a/3.png" in strangers
    assert strangers.endswith("and 4 more")
    assert doubles.startswith("1 image beside another of the same edit")
    assert "a/0.gif (beside a/0.png)" in doubles


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leads_out_of_the_folder_is_refused_and_one_that_stays_is_not(tmp_path: Path, kind: str) -> None:
    images, outside = tmp_path / "images", tmp_path / "secret"
    put(images / "a" / "1.png", outside / "2.png")
    (images / "a" / "3.png").symlink_to("1.png")
    if kind == "file":
        (images / "a" / "2.png").symlink_to(outside / "2.png")
        key = "a/2"
    else:
        (images / "b").symlink_to(outside)
        key = "b/2"
    edits = find_edits(images, benchmark("a/1", "a/3", key), 1)
    assert set(edits.images) == {EditUnit("a", "1"), EditUnit("a", "3")}
    assert [unit.key for unit in edits.refused] == [key]
    assert "leads out" in next(iter(edits.refused.values()))


def test_links_that_lead_in_a_circle_and_pipes_cost_nothing_but_themselves(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "a" / "2.png").symlink_to("2.png")
    os.mkfifo(tmp_path / "a" / "3.png")
    edits = find_edits(tmp_path, benchmark("a/1", "a/2", "a/3"), 1)
    assert [unit.key for unit in edits.images] == ["a/1"]
    assert sorted(unit.key for unit in edits.refused) == ["a/2", "a/3"]


def test_the_root_of_all_folders_is_looked_into_like_any_other() -> None:
    with pytest.raises(ImagesError, match=r"belongs to a pair|has no images"):
        find_edits(Path("/"), benchmark("no such category at all/1"), 2)


def test_accents_may_be_composed_otherwise_unless_that_leaves_a_doubt(tmp_path: Path) -> None:
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    put(tmp_path / f"caf{apart}" / f"{apart}.png", tmp_path / "b" / f"{apart}.png", tmp_path / "b" / f"{composed}.png")
    edits = find_edits(tmp_path, benchmark(f"caf{composed}/{composed}", f"b/{composed}"), 1)
    assert named(edits, tmp_path) == {
        f"b/{composed}/0": f"b/{composed}.png",
        f"caf{composed}/{composed}/0": f"caf{apart}/{apart}.png",
    }
    assert f"b/{apart}.png (beside b/{composed}.png)" in edits.warnings[0]
    put(tmp_path / "c" / f"{apart}{apart}.png")
    both = benchmark("b/1", *(f"c/{one}{composed}" for one in (composed, apart)), f"b/{composed}")
    assert {unit.key for unit in find_edits(tmp_path, both, 1).images} == {f"b/{composed}"}, "whose it is is not known"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a" / "1.png")
    (tmp_path / "link").symlink_to("real")
    assert find_edits(tmp_path / "link", benchmark("a/1"), 1).images


# -- a list


def test_a_lists_paths_are_relative_to_it_or_absolute_and_samples_count_from_zero(tmp_path: Path) -> None:
    path = listed(
        tmp_path / "edits.jsonl",
        {"id": "物理/1", "image_path": "out/one.png", "model": "whatever else"},
        "",
        {"id": "物理/1", "image_path": "/elsewhere/two.png", "sample": 1},
        {"id": "a/b/c", "image_path": "x.png"},
    )
    edits = find_edits(path, benchmark("物理/1"), 2)
    assert edits.images == {
        EditUnit("物理", "1", 0): str(tmp_path / "out" / "one.png"),
        EditUnit("物理", "1", 1): "/elsewhere/two.png",
    }
    assert len(edits.warnings) == 1
    assert "line 4, a/b/c" in edits.warnings[0]


def test_of_two_lines_for_one_edit_the_first_counts_and_samples_beyond_those_asked_for_are_told(tmp_path: Path) -> None:
    path = listed(
        tmp_path / "edits.jsonl",
        {"id": "a/1", "image_path": "first.png"},
        {"id": "a/1", "image_path": "second.png"},
        {"id": "a/1", "image_path": "third.png", "sample": 1},
    )
    edits = find_edits(path, benchmark("a/1"), 1)
    assert edits.images == {EditUnit("a", "1"): str(tmp_path / "first.png")}
    assert "evaluation.samples_per_pair, which is 1: line 3, a/1" in edits.warnings[0]
    assert "line 2, a/1 (beside line 1, a/1)" in edits.warnings[1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('["a/1"]', "is no JSON object"),
        ('{"image_path": "x"}', "`id` must be a text"),
        ('{"id": "1", "image_path": "x"}', "`id` must be a text, category/pair_id, found '1'"),
        ('{"id": "a/", "image_path": "x"}', "`id` must be a text"),
        ('{"id": "a/1"}', "`image_path` must be a path, found nothing"),
        ('{"id": "a/1", "image_path": "x\\u0000"}', "`image_path` must be a path"),
        ('{"id": "a/1", "image_path": "x", "sample": true}', "`sample` must be a number"),
        ('{"id": "a/1", "image_path": "x", "sample": -1}', "`sample` must be a number"),
        ('{"id": "\\u001b[2J/", "image_path": 3}', "`id` must be a text"),
        ("x" * (1 << 20) + "y", "has more than"),
    ],
)
def test_every_line_that_is_none_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = listed(tmp_path / "edits.jsonl", {"id": "a/1", "image_path": "x.png"}, line)
    with pytest.raises(ImagesError) as caught:
        find_edits(path, benchmark("a/1"), 1)
    (found,) = caught.value.problems
    assert found.startswith("line 2")
    assert problem in found
    assert "\x1b" not in found
    assert len(found) < 500


def test_of_many_wrong_lines_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    with pytest.raises(ImagesError) as caught:
        find_edits(listed(tmp_path / "edits.jsonl", *["{"] * 50), benchmark("a/1"), 1)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "and 30 more lines"


# -- either


def test_a_place_without_any_image_for_the_benchmark_is_a_mistake_and_says_what_was_expected(tmp_path: Path) -> None:
    put(tmp_path / "flat" / "001.png")
    with pytest.raises(ImagesError, match=r"none of its 1 image .* expected is, for instance, .*/flat/物理/001\.png"):
        find_edits(tmp_path / "flat", benchmark("物理/001"), 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImagesError, match="it has no images"):
        find_edits(tmp_path / "empty", benchmark("物理/001"), 1)
    with pytest.raises(ImagesError, match=r'expected is, for instance, \{"id": "物理/001"'):
        find_edits(listed(tmp_path / "list", {"id": "001/物理", "image_path": "x"}), benchmark("物理/001"), 1)
    with pytest.raises(ImagesError, match="there is no folder and no file"):
        find_edits(tmp_path / "gone", benchmark("物理/001"), 1)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12x"), st.integers(0, 2)), max_size=12))
def test_every_image_is_used_or_told_and_none_is_used_for_another_edit(found: list[tuple[str, str, int]]) -> None:
    images = [
        FoundImage((category, pair_id), sample, path=f"{number}", where=f"#{number}")
        for number, (category, pair_id, sample) in enumerate(found)
    ]
    edits = match("here", images, Places(benchmark("a/1", "a/2", "b/1"), LAYOUTS.get("plain").names), 2)
    used = {int(path) for path in edits.images.values()}
    for unit, path in edits.images.items():
        assert found[int(path)] == unit
        assert int(path) == found.index((unit.category, unit.pair_id, unit.sample))
    counted = sum(int(warning.split()[0]) for warning in edits.warnings)
    assert len(used) + counted == len(found)
