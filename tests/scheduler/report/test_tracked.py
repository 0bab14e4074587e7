"""What trackers get of a run: numbers by name and step, settings, pairs, and which runs belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scheduler.report.tracked import to_send, tracked_run
from scheduler.store.rows import Row
from scheduler.store.run_directory import thumbnail_path
from scheduler.trackers.declaration import TrackedRun
from tests.scheduler.report.official_rows import complete_rows, example, manifest
from tests.scheduler.rows import edited, failed, planned, report_of, scored, stage_end

__all__ = ["example"]

OPTIONS = {"name": None, "prefix": "eval", "images": 8, "timeout_seconds": 60.0}
ROWS: tuple[Row, ...] = (
    *(planned(str(number), category) for category in ("物理", "add") for number in range(3)),
    *(edited(str(number), category) for category in ("物理", "add") for number in range(3)),
    *(scored(str(number), 4.0 + number, "物理", aspects={"likeness": 2.0}) for number in range(3)),
    *(scored(str(number), 8.0, "add", aspects={"likeness": 4.0}) for number in range(2)),
    failed("2", "add", stage="score"),
    stage_end("edit", wall=10.0, device=16.0, workers=2),
)


def of_checkpoint(model: str, **more: Any) -> dict[str, Any]:
    load = {"dtype": "bfloat16", "lora": [{"path": f"{model}/lora.safetensors", "weight": 1.0}]}
    editor = {"type": "qwen_image_edit", "model_name": model, "load": load, "parameters": {"seed": 0, "height": None}}
    return {"editor": editor, "data": {"path": "data.json"}, "samples_per_pair": 1, **more}


def tracked(
    folder: Path, given: dict[str, Any], rows: Sequence[Row] = ROWS, stamp: str = "run", **options: Any
) -> TrackedRun:
    return tracked_run(report_of(rows, manifest=given), folder / "runs" / stamp, folder, {**OPTIONS, **options})


def test_the_numbers_are_those_of_the_report(tmp_path: Path) -> None:
    numbers = dict(tracked(tmp_path, of_checkpoint("out/checkpoint-500")).numbers)
    assert numbers.pop("score_ci95_low") < 6.2 < numbers.pop("score_ci95_high")
    assert numbers.pop("score_std") == pytest.approx(1.6)
    assert numbers == {
        "score": pytest.approx(6.2),
        "score_macro_mean": pytest.approx(6.5),
        "pairs": 6,
        "pairs_scored": 5,
        "pairs_failed": 1,
        "pairs_missing": 0,
        "category/物理": 5.0,
        "category/add": 8.0,
        "dimension/likeness": pytest.approx(2.8),
        "performance/edit_wall_seconds": 10.0,
        "performance/edit_device_seconds": 16.0,
        "performance/edit_efficiency": pytest.approx(0.8),
    }


@pytest.mark.usefixtures("example")
def test_official_numbers_have_their_intervals_and_whether_they_are_comparable(tmp_path: Path) -> None:
    run = tracked(tmp_path, manifest(), complete_rows())
    report = report_of(complete_rows(), manifest=manifest())
    assert report.official is not None
    main = str(report.official.main)
    low, high = report.official.intervals[main]
    assert run.numbers[f"official/{main}"] == report.official.numbers[main]
    assert (run.numbers[f"official/{main}_ci95_low"], run.numbers[f"official/{main}_ci95_high"]) == (low, high)
    assert run.numbers["official_comparable"] == 1
    assert run.settings["protocol"] == "example"


def test_checkpoints_of_one_training_are_one_series_with_their_steps(tmp_path: Path) -> None:
    first, second = (tracked(tmp_path, of_checkpoint(f"out/night/checkpoint-{step}")) for step in (1000, 500))
    assert (first.series, first.name, first.settings) == (second.series, "night", second.settings)
    assert (first.step, second.step) == (1000, 500)
    assert (first.title, second.title) == ("night/checkpoint-1000", "night/checkpoint-500")
    assert not [name for name in first.settings if "lora" in name or "model_name" in name]


def test_another_training_another_setting_and_another_name_are_other_series(tmp_path: Path) -> None:
    model = "out/night/checkpoint-500"
    changed = of_checkpoint(model)
    changed["editor"]["parameters"]["seed"] = 1
    runs = [
        tracked(tmp_path, of_checkpoint(model)),
        tracked(tmp_path, of_checkpoint("out/day/checkpoint-500")),
        tracked(tmp_path, changed),
        tracked(tmp_path, of_checkpoint(model, data={"path": "other.json"})),
        tracked(tmp_path, of_checkpoint(model), name="again"),
    ]
    assert len({run.series for run in runs}) == len(runs)
    assert runs[-1].name == "again"


def test_a_run_without_a_step_is_a_series_of_its_own_and_has_its_model_as_a_setting(tmp_path: Path) -> None:
    first, second = (tracked(tmp_path, of_checkpoint("Qwen/Qwen-Image-Edit"), stamp=stamp) for stamp in ("1", "2"))
    assert (first.step, first.name) == (None, "Qwen/Qwen-Image-Edit")
    assert first.series != second.series
    assert first.settings["editor.model_name"] == "Qwen/Qwen-Image-Edit"
    assert first.settings["editor.parameters.seed"] == 0
    assert "editor.parameters.height" not in first.settings


def test_the_pairs_are_of_all_categories_in_turn_and_only_those_with_both_images(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    for category, pair_id in (("物理", "0"), ("物理", "1"), ("物理", "2"), ("add", "1"), ("add", "2")):
        for of in (None, 0):
            path = Path(thumbnail_path(run, category, pair_id, of))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"jpeg")
    (run / "config.yaml").write_text("", encoding="utf-8")
    sent = tracked(tmp_path, {}, images=4)
    assert [(pair.category, pair.pair_id) for pair in sent.pairs] == [
        ("物理", "0"),
        ("物理", "1"),
        ("add", "1"),
        ("物理", "2"),
    ]
    assert (sent.pairs[2].instruction, sent.pairs[2].score) == ("edit 1", 8.0)
    assert all(Path(path).is_file() for pair in sent.pairs for path in (pair.source, pair.edit))
    assert sent.files == {"config.yaml": str(run / "config.yaml")}
    assert tracked(tmp_path, {}, images=0).pairs == ()


def test_a_shard_and_a_run_without_scores_are_not_sent(tmp_path: Path) -> None:
    trackers = {"wandb": OPTIONS}
    run = tmp_path / "runs" / "run"
    whole, shard = (report_of(ROWS, manifest=given) for given in ({}, {"shard": {"number": 1, "of": 2, "pairs": 6}}))
    edits = report_of(ROWS[:12], stages=("edit",))
    assert [order.tracker for order in to_send(trackers, whole, run, tmp_path)] == ["wandb"]
    assert [*to_send(trackers, shard, run, tmp_path), *to_send(trackers, edits, run, tmp_path)] == []
