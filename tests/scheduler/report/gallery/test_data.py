"""What the gallery's page is told: names and texts as they may be shown, pictures that are there, exact numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scheduler.report import DEFAULT_METRICS, Report
from scheduler.report.gallery import Pictures, render_gallery
from scheduler.report.gallery.data import gallery_head, gallery_items, score_range
from scheduler.report.gallery.shown import LONGEST_TEXT, shown_text, shown_tree, text_limit
from scheduler.store.rows import Row
from scheduler.store.run_directory import thumbnail_path
from tests.scheduler.report.gallery.made import MANIFEST, STAMP, mixed_rows
from tests.scheduler.rows import edited, planned, report_of, scored


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "runs" / STAMP
    folder.mkdir(parents=True)
    return folder


def items(report: Report, run: Path) -> list[dict[str, Any]]:
    return list(gallery_items(report, Pictures(run, run.parent.parent), LONGEST_TEXT))


def touch(path: Path | str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


def test_a_pair_brings_its_texts_scores_and_times(run: Path) -> None:
    row = scored("1", 7.25, aspects={"look": 7.0, "sense": 7.5}, response="很好")
    (item,) = items(report_of([planned("1"), edited("1"), row]), run)
    assert item["status"] == "scored"
    assert item["score"] == 7.25
    assert item["instruction"] == "edit 1"
    (sample,) = item["samples"]
    assert (sample["seed"], sample["seconds"], sample["worker"], sample["size"]) == ("0", 1.5, "editor-0", [64, 48])
    (score,) = sample["scores"]
    assert score["aspects"] == {"look": 7.0, "sense": 7.5}
    assert (score["reply"], score["seconds"], score["method"]) == ("很好", 0.5, "json")


def test_failures_and_what_is_not_done_are_there_as_well(run: Path) -> None:
    found = {item["id"]: item for item in items(report_of(mixed_rows()), run)}
    assert found["torn"]["failures"] == [
        {"stage": "load", "kind": "bad_image", "message": "out of memory", "sample": 0}
    ]
    assert found["heavy"]["status"] == "failed"
    assert found["waiting"]["status"] == "missing"
    assert found["waiting"]["samples"] == []


def test_samples_and_passes_are_told_apart(run: Path) -> None:
    rows: list[Row] = [planned("1"), *(edited("1", sample=n) for n in (0, 1))]
    rows += [scored("1", float(5 + n + p), sample=n, pass_=p) for n in (0, 1) for p in (0, 1)]
    (item,) = items(report_of(rows, samples_per_pair=2, reward_passes=2), run)
    assert [[score["score"] for score in sample["scores"]] for sample in item["samples"]] == [[5, 6], [6, 7]]


def test_only_pictures_that_are_on_disk_are_named_by_percent_encoded_paths(run: Path) -> None:
    name, category = "50% #1? 'a\"", "物 理"
    edit = msgspec.structs.replace(edited(name, category), image="images/物 理/a#b.png")
    rows: list[Row] = [planned(name, category), edit, planned("2", category), edited("2", category)]
    report = report_of(rows)
    touch(thumbnail_path(run, category, name, None))
    touch(thumbnail_path(run, category, name, 0))
    touch(run / "images" / category / "a#b.png")

    first, second = items(report, run)
    assert first["source"] == "thumbnails/source/%E7%89%A9%20%E7%90%86/50%25%20%231%3F%20%27a%22.jpg"
    assert first["samples"][0]["thumbnail"].startswith("thumbnails/edit/%E7%89%A9%20%E7%90%86/50%25%20%231")
    assert first["samples"][0]["full"] == "images/%E7%89%A9%20%E7%90%86/a%23b.png"
    assert "source" not in second
    assert "thumbnail" not in second["samples"][0]
    assert "full" not in second["samples"][0]


def test_further_samples_have_thumbnails_of_their_own(run: Path) -> None:
    report = report_of([planned("1"), edited("1"), edited("1", sample=1)], samples_per_pair=2)
    touch(thumbnail_path(run, "物理", "1", 1))
    (item,) = items(report, run)
    assert "thumbnail" not in item["samples"][0]
    assert item["samples"][1]["thumbnail"].startswith("thumbnails/edit-sample-1/")


def test_an_image_elsewhere_is_reached_by_a_file_url(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other place" / "1.png"
    touch(elsewhere)
    rows: list[Row] = [planned("1"), msgspec.structs.replace(edited("1"), image=str(elsewhere))]
    report = report_of(rows)
    (item,) = items(report, run)
    assert item["samples"][0]["full"] == elsewhere.as_uri()


def test_the_run_is_found_relative_to_the_page_wherever_both_are(run: Path, tmp_path: Path) -> None:
    assert Pictures(run, tmp_path / "outputs").base == f"runs/{STAMP}/"
    assert Pictures(run, tmp_path / "there").base == f"../outputs/runs/{STAMP}/"


def test_a_name_that_no_file_can_have_only_has_no_picture(run: Path) -> None:
    pictures = Pictures(run, run.parent.parent)
    assert pictures.source("..", "a") is None
    assert pictures.source("a/b", "a") is None
    assert pictures.edit("a", "x\0y", 0) is None
    assert pictures.full("no\0file") is None
    assert pictures.full("half \ud800") is None


def test_texts_keep_their_lines_and_show_what_does_not_print() -> None:
    assert (
        shown_text("a\tb\r\nc\u202ed\x00\x1b[31m\u2028e\ud800", 100) == "a\tb\nc\\u202ed\\x00\\x1b[31m\\u2028e\\ud800"
    )
    assert shown_text(None, 100) is None
    assert shown_text("", 100) == ""


def test_a_text_that_is_too_long_says_how_long_it_was() -> None:
    assert shown_text("x" * 100_000, LONGEST_TEXT) == {"text": "x" * LONGEST_TEXT + "…", "length": 100_000}
    assert shown_text("x" * LONGEST_TEXT, LONGEST_TEXT) == "x" * LONGEST_TEXT


def test_the_more_long_texts_there_are_the_shorter_they_are_cut() -> None:
    assert text_limit([100] * 100_000) == LONGEST_TEXT
    assert text_limit([100_000] * 1_000) == LONGEST_TEXT
    assert text_limit([100_000] * 10_000) < LONGEST_TEXT
    assert text_limit([100_000] * 1_000_000) == 500


@pytest.mark.parametrize(
    ("parameters", "scores", "expected"),
    [
        ({"score_range": [1, 5]}, [2.0, 3.0], [1, 5]),
        ({"score_range": [1, 5]}, [2.0, 7.5], [1, 7.5]),
        ({}, [0.25, 0.75], [0, 1]),
        ({"score_range": "wide"}, [3.0], [3, 4]),
        ({}, [], [0, 10]),
    ],
)
def test_the_scale_is_what_the_reward_was_asked_for_and_holds_every_score(
    parameters: dict[str, Any], scores: list[float], expected: list[float]
) -> None:
    rows = [row for n, score in enumerate(scores) for row in (planned(str(n)), edited(str(n)), scored(str(n), score))]
    report = report_of(rows, manifest={"reward": {"parameters": parameters}})
    assert score_range([report]) == expected


def test_the_head_says_once_what_the_run_is(run: Path) -> None:
    report = report_of(mixed_rows(), manifest=MANIFEST)
    head = gallery_head(report, Pictures(run, run.parent.parent), ["mean", "median", "ci95"], STAMP)
    assert head["status"] == "INCOMPLETE"
    assert head["models"]["editor"] == {"type": "qwen_image_edit", "model_name": "checkpoints/900"}
    assert head["metrics"] == ["median"]
    assert [group["name"] for group in head["categories"]] == ["physics", "社会"]
    assert (head["overall"]["pairs"], head["overall"]["scored"], head["overall"]["failed"]) == (7, 4, 2)
    assert head["performance"]["stages"]["edit"]["workers"] == 2


def test_a_manifest_of_any_form_becomes_a_tree_that_json_can_hold() -> None:
    deep: Any = "end"
    for _ in range(40):
        deep = {"in": deep}
    tree = shown_tree({"a\u202eb": [1, 2**70, float("nan"), None, True, object], "deep": deep, "many": [0] * 20_000})
    text = json.dumps(tree, allow_nan=False)
    assert '"a\\\\u202eb"' in text
    assert str(2**70) in text
    assert len(text) < 100_000


@pytest.mark.parametrize("manifest", [{}, {"editor": 3, "reward": None, "data": []}, {"reward": {"parameters": 1}}])
def test_a_manifest_that_lacks_parts_makes_a_page_all_the_same(manifest: dict[str, Any], run: Path) -> None:
    page = render_gallery(
        report_of(mixed_rows(), manifest=manifest), Pictures(run, run.parent.parent), DEFAULT_METRICS, STAMP
    )
    assert page.startswith(b"<!doctype html>")


def test_folders_are_listed_once_not_asked_for_every_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    really = os.listdir

    def watched(folder: str) -> list[str]:
        listed.append(folder)
        return really(folder)

    monkeypatch.setattr(os, "listdir", watched)
    rows = [row for n in range(50) for row in (planned(str(n)), edited(str(n)), scored(str(n), 1.0))]
    items(report_of(rows), run)
    assert len(listed) == len(set(listed)) == 3
