"""The data that the page of a series embeds: that of its JSON form, with the pairs written shorter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scheduler.report.gallery.series_page import render_series, series_title
from scheduler.report.series.writing import read_series
from tests.scheduler.report.gallery.made import run_with_pictures, without_nulls
from tests.scheduler.report.series.runs import CATEGORIES, checkpoint, simulated_checkpoints
from tests.scheduler.rows import edited, planned, scored

_DATA = re.compile(rb'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def embedded(runs: list[Path], folder: Path) -> dict[str, Any]:
    (data,) = _DATA.findall(render_series(read_series(runs, folder), folder, ["series.json"]))
    found: dict[str, Any] = json.loads(data)
    return found


def test_the_series_is_its_json_form_without_pairs_and_nulls(tmp_path: Path) -> None:
    runs = simulated_checkpoints(tmp_path, 3, 6)
    data = embedded(runs, tmp_path)
    plain = json.loads(json.dumps(data["series"]))
    assert [run["step"] for run in plain["runs"]] == [100, 200, 300]
    assert without_nulls(plain) == data["series"]
    assert plain["pairs"] == []
    assert data["page"]["title"] == "out"
    assert data["page"]["runs"] == [{"base": f"runs/{run.name}/"} for run in runs]


def test_only_statuses_that_are_not_scored_are_written(tmp_path: Path) -> None:
    runs = simulated_checkpoints(tmp_path, 2, 3)
    runs.append(checkpoint(tmp_path, "/train/out/checkpoint-900", [1.0, None, 3.0], stamp="20260102_000000"))
    pairs = embedded(runs, tmp_path)["pairs"]
    assert [pair.get("statuses") for pair in pairs] == [None, "ssm", None]
    assert [pair["scores"][2] for pair in pairs] == [1.0, None, 3.0]
    assert [pair["category"] for pair in pairs] == list(CATEGORIES)


def test_a_path_that_all_runs_share_is_written_once(tmp_path: Path) -> None:
    runs = []
    for number, drawn in enumerate((2, 1)):
        stamp = f"20260101_00000{number}"
        rows = [row for name in ("a b", "c") for row in (planned(name), edited(name), scored(name, 1.0))]
        run_with_pictures(tmp_path, rows, stamp=stamp, drawn=drawn, manifest={"editor": {"model_name": f"m{number}"}})
        runs.append(tmp_path / "runs" / stamp)
    first, second = embedded(runs, tmp_path / "series")["pairs"]
    path = "thumbnails/edit/%E7%89%A9%E7%90%86/"
    assert first["thumbnails"] == f"{path}a%20b.jpg"
    assert second["thumbnails"] == [f"{path}c.jpg", None]
    assert second["source"] == "../runs/20260101_000000/thumbnails/source/%E7%89%A9%E7%90%86/c.jpg"


@pytest.mark.parametrize(
    ("models", "title"),
    [
        (["/t/lora/checkpoint-1", "/t/lora/checkpoint-2"], "lora"),
        (["org/one", "org/two"], "org/one / org/two"),
        (["a", "b", "c"], "bench.json"),
    ],
)
def test_it_is_called_by_the_training_else_by_its_runs_else_by_the_benchmark(
    tmp_path: Path, models: list[str], title: str
) -> None:
    runs = [checkpoint(tmp_path, model, [1.0], stamp=f"20260101_00000{n}") for n, model in enumerate(models)]
    assert series_title(read_series(runs, tmp_path)) == title
