"""What the gallery's page embeds: the JSON report, with texts cut, pictures that exist, and exact numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scheduler.report.build import build_report
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.gallery.page_values import MAX_TEXT, page_tree, page_value, text_limit
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.gallery.run_page import page_pair, page_report, render_gallery, score_range
from scheduler.report.model import Report
from scheduler.store.human_scores import HumanScore, HumanScores
from scheduler.store.results import Expected
from scheduler.store.rows import Row
from scheduler.store.run_directory import thumbnail_path
from tests.scheduler.report.gallery.made import MANIFEST, STAMP, mixed_rows, without_nulls
from tests.scheduler.rows import edited, json_of, planned, report_of, scored


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "runs" / STAMP
    folder.mkdir(parents=True)
    return folder


def items(report: Report, run: Path) -> list[dict[str, Any]]:
    pictures = Pictures(run, run.parent.parent)
    return [page_pair(pair, pictures, MAX_TEXT) for pair in report.pairs]


def touch(path: Path | str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


def test_the_page_embeds_the_json_report_without_nulls_and_what_its_pictures_tell(run: Path) -> None:
    rows = [*mixed_rows(), planned("1"), edited("1"), scored("1", 7.25, aspects={"look": 7.0}, response="很好")]
    report = report_of(rows, manifest=MANIFEST)
    page = json.loads(msgspec.json.encode(page_report(report, Pictures(run, run.parent.parent), MAX_TEXT)))
    expected = without_nulls(json_of(report))
    for pair in expected["pairs"]:
        pair.pop("source_sha256", None)
        for sample in pair["samples"]:
            del sample["image"]
            for score in sample["scores"]:
                score.pop("aspects", None)
    assert page == expected


def test_a_file_of_human_scores_that_fits_nothing_leaves_the_page_small(run: Path) -> None:
    human = HumanScores(tuple(HumanScore(n, "x", "y", None, None, 1.0) for n in range(2, 10_000)), 0, b"")
    report = build_report(mixed_rows(), manifest={}, expected=Expected(), human=human)
    agreement = page_report(report, Pictures(run, run.parent.parent), MAX_TEXT)["agreement"]
    assert (agreement["num_unmatched"], len(agreement["unmatched"])) == (9_998, 20)


def test_only_pictures_that_are_on_disk_are_named_by_percent_encoded_paths(run: Path) -> None:
    name, category = "50% #1? 'a\"", "物 理"
    edit = msgspec.structs.replace(edited(name, category), image="images/物 理/a#b.png")
    rows: list[Row] = [planned(name, category), edit, planned("2", category), edited("2", category)]
    report = report_of(rows)
    touch(thumbnail_path(run, category, name, None))
    touch(thumbnail_path(run, category, name, 0))
    touch(run / "images" / category / "a#b.png")

    first, second = items(report, run)
    assert first["source_thumbnail"] == "thumbnails/source/%E7%89%A9%20%E7%90%86/50%25%20%231%3F%20%27a%22.jpg"
    assert first["samples"][0]["thumbnail"].startswith("thumbnails/edit/%E7%89%A9%20%E7%90%86/50%25%20%231")
    assert first["samples"][0]["full_size"] == "images/%E7%89%A9%20%E7%90%86/a%23b.png"
    assert "source_thumbnail" not in second
    assert "thumbnail" not in second["samples"][0]
    assert "full_size" not in second["samples"][0]


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
    assert item["samples"][0]["full_size"] == elsewhere.as_uri()


def test_the_run_is_found_relative_to_the_page_wherever_both_are(run: Path, tmp_path: Path) -> None:
    assert Pictures(run, tmp_path / "outputs").base == f"runs/{STAMP}/"
    assert Pictures(run, tmp_path / "there").base == f"../outputs/runs/{STAMP}/"


def test_a_name_that_no_file_can_have_only_has_no_picture(run: Path) -> None:
    pictures = Pictures(run, run.parent.parent)
    assert pictures.thumbnail("..", "a", None) is None
    assert pictures.thumbnail("a/b", "a", None) is None
    assert pictures.thumbnail("a", "x\0y", 0) is None
    assert pictures.full("no\0file") is None
    assert pictures.full("half \ud800") is None


def test_a_text_that_is_too_long_has_the_length_of_the_whole() -> None:
    cut = page_value({"response": "x" * 100_000, "message": "x" * MAX_TEXT, "notes": ["y" * 9_000]}, MAX_TEXT)
    assert cut["response"] == {"text": "x" * MAX_TEXT + "…", "length": 100_000}
    assert cut["message"] == "x" * MAX_TEXT
    assert cut["notes"][0]["length"] == 9_000


def test_a_name_stays_a_text_and_a_number_is_exact_or_a_text() -> None:
    value = page_value({"worker": "x" * 1_000, "seed": 2**53 + 1, "round": 2**53, "score": 1e300, "device": None}, 10)
    assert value == {"worker": "x" * 299 + "…", "seed": str(2**53 + 1), "round": 2**53, "score": 1e300}


def test_the_more_long_texts_there_are_the_shorter_they_are_cut() -> None:
    assert text_limit([100] * 100_000) == MAX_TEXT
    assert text_limit([100_000] * 1_000) == MAX_TEXT
    assert text_limit([100_000] * 10_000) < MAX_TEXT
    assert text_limit([100_000] * 1_000_000) == 500


@pytest.mark.parametrize(
    ("parameters", "scores", "expected"),
    [
        ({"score_range": [1, 5]}, [2.0, 3.0], [1, 5]),
        ({"score_range": [1, 5]}, [2.0, 7.5], [1, 8]),
        ({"score_range": [1, 5]}, [0.8, 5 + 1e-12], [0, 5]),
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


def test_a_manifest_of_any_form_becomes_a_tree_that_json_can_hold() -> None:
    deep: Any = "end"
    for _ in range(40):
        deep = {"in": deep}
    manifest = {"a\ud800b": [1, 2**70, float("nan"), None, True, object], "deep": deep, "many": [0] * 20_000}
    tree = page_tree(report_of([], manifest=manifest).provenance)
    text = json.dumps(tree, allow_nan=False)
    assert '"a\\\\ud800b"' in text
    assert f'"{2**70}"' in text
    assert "…" in tree["many"]
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
