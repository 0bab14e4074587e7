"""Plots have what the series has, are the same bytes each time, and show names from data as they are."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from msgspec import structs

from scheduler.report.series.build import build_series
from scheduler.report.series.model import Series
from scheduler.report.series.plots import COLOURS, plot_files, plots
from scheduler.report.series.results import read_results
from tests.scheduler.report.series.runs import checkpoint, manifest_of

SCORES = [5.0, 6.0, 7.0, 4.0, 8.0, 5.0]


def series_of(folder: Path, *models: str) -> Series:
    runs = [
        checkpoint(folder, model, [score + number / 10 for score in SCORES], stamp=f"20260101_12000{number}")
        for number, model in enumerate(models)
    ]
    return build_series([read_results(run) for run in runs], folder)


def texts(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own file
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_series_has_the_plots_that_it_has_values_for(tmp_path: Path) -> None:
    series = series_of(tmp_path, "t/checkpoint-1", "t/checkpoint-2")
    found = plots(series)
    assert list(found) == ["score", "categories"]
    assert [panel.title for panel in found["categories"]] == ["add", "remove", "style"]
    (score,) = found["score"]
    assert score.values == pytest.approx([35 / 6, 35 / 6 + 0.1])
    assert list(score.intervals) == [run.ci95 for run in series.runs]


@pytest.mark.slow
def test_lines_have_a_name_for_each_training_and_a_run_without_a_step_is_a_level(tmp_path: Path) -> None:
    series = series_of(tmp_path, "org/base", "/r/a/checkpoint-100", "/r/a/checkpoint-200", "/r/b/checkpoint-100")
    series = structs.replace(series, categories=())  # which would take their time to draw
    files = plot_files(series)
    assert list(files) == ["score.png", "score.svg"]
    svg = files["score.svg"]
    assert {"Step", "r/a", "r/b", "org/base"} <= set(texts(svg))
    assert all(colour.lower().encode() in svg for colour in COLOURS[:2])
    png = files["score.png"]
    assert png.startswith(b"\x89PNG")
    again = plot_files(series)
    assert (again["score.svg"], again["score.png"]) == (svg, png), "nothing of the time or the machine is in them"


@pytest.mark.slow
def test_a_leaderboard_has_the_best_on_top_and_names_are_no_markup_and_no_formulas(tmp_path: Path) -> None:
    series = structs.replace(series_of(tmp_path, "org/<b>&", "org/$x_1$", "org/模型"), categories=("add",))
    svg = plot_files(series)["categories.svg"]
    assert [text for text in texts(svg) if text.startswith("org/")] == ["org/模型", "org/$x_1$", "org/<b>&"]


def test_a_value_that_has_no_place_on_paper_leaves_its_plot_out_and_nothing_else(tmp_path: Path) -> None:
    manifest = manifest_of("t/checkpoint-1") | {"reward": {"type": "simulated"}}
    huge = checkpoint(tmp_path, "t/checkpoint-1", [1e308, -1e308, 5.0], stamp="20260101_120000", **manifest)
    other = checkpoint(tmp_path, "t/checkpoint-2", [-1e308, 1e308, 6.0], stamp="20260101_120001", **manifest)
    series = build_series([read_results(huge), read_results(other)], tmp_path)
    assert list(plots(series)) == ["score", "categories"], "their mean is small"
    assert [panel.title for panel in plots(series)["categories"]] == ["style"]
    difference = series.runs[1].previous
    assert difference is not None
    assert (difference.p, difference.ci95, difference.num_pairs) == (None, None, 3)
