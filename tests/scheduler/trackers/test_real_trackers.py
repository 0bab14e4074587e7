"""The real libraries have what was sent: W&B offline, MLflow in a local store, TensorBoard in event files.

One process sends and reads for all tests of this file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from PIL import Image

from scheduler.trackers.declaration import TRACKERS, TrackedPair, TrackedRun
from scheduler.trackers.mlflow import allowed_names
from tests.docs.markdown import ROOT

pytestmark = pytest.mark.slow

STEPS = (500, 1000, 250)
"""The last checkpoint that is evaluated is older than the others."""


def run_of(folder: Path, step: int) -> TrackedRun:
    place = folder / str(step)
    place.mkdir()
    for name, colour in (("source", "red"), ("edit", "blue")):
        Image.new("RGB", (40, 30), colour).save(place / f"{name}.jpg")
    for name in ("config.yaml", "manifest.json"):
        (place / name).write_text(f"# {name} of {step}\n", encoding="utf-8")
    pair = TrackedPair(
        category="物理",
        pair_id="a|b",
        instruction="make it <b>blue</b>",
        score=step / 100 if step > 250 else None,
        source=str(place / "source.jpg"),
        edit=str(place / "edit.jpg"),
    )
    return TrackedRun(
        series="0123456789abcdef",
        name="training",
        run=f"20260101_{step:06d}",
        title=f"training/checkpoint-{step}",
        step=step,
        prefix="eval",
        numbers={"score": step / 100, "pairs": 1.0, "category/物理": 1.0, "category/add (50%)": 2.0},
        settings={"data.path": "data.json", "editor.parameters.seed": 7, "editor.load.fast": True},
        files={name: str(place / name) for name in ("config.yaml", "manifest.json")},
        pairs=(pair,),
        folder=str(folder),
    )


def home_of(process: psutil.Process) -> str | None:
    """The variable HOME of a process, which those that the libraries start inherit."""
    try:
        return process.environ().get("HOME")
    except (psutil.Error, OSError):
        return None


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was read back."""
    if missing := [name for tracker in TRACKERS.all().values() for name in tracker.packages if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("trackers")
    runs = [run_of(folder, step) for step in STEPS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.scheduler.trackers.real_trackers", str(folder)],
        input=msgspec.json.encode(runs),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"},
        check=False,
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    content: dict[str, Any] = json.loads((folder / "read.json").read_text(encoding="utf-8"))
    content["left"] = [process.name() for process in psutil.process_iter() if home_of(process) == str(folder)]
    return content


def test_no_library_leaves_a_process(read: dict[str, Any]) -> None:
    assert read["left"] == []


def test_wandb_has_one_run_with_a_step_of_its_own_for_checkpoints_in_any_order(read: dict[str, Any]) -> None:
    parts = read["wandb"]
    assert {part["id"] for part in parts} == {"warmbench-0123456789abcdef"}
    assert {(part["name"], part["project"], part["group"]) for part in parts} == {("training", "edits", "baselines")}
    assert parts[0]["tags"] == ["nightly"]
    history = [row for part in parts for row in part["history"]]
    assert [(row["eval/step"], row["eval/score"]) for row in history] == [(500, 5.0), (1000, 10.0), (250, 2.5)]
    assert (history[0]["eval/category/物理"], history[0]["eval/pairs"]) == (1.0, 1.0)
    metrics = parts[0]["metrics"]
    assert metrics.pop("eval/step") == ""
    assert {name for name in metrics if "*" in name} == set()
    assert (metrics["eval/category/物理"], set(metrics.values())) == ("eval/step", {"eval/step"})
    assert parts[0]["config"]["warmbench"] == {
        "data.path": "data.json",
        "editor.parameters.seed": 7,
        "editor.load.fast": True,
    }


def test_wandb_has_a_table_with_images_and_the_files_of_each_run(read: dict[str, Any]) -> None:
    for step, part in zip(STEPS, read["wandb"], strict=True):
        table = part["table"]
        assert table["columns"] == ["run", "category", "pair", "instruction", "source", "edit", "score"]
        ((title, category, pair, instruction, source, edit, score),) = table["data"]
        assert (title, category, pair) == (f"training/checkpoint-{step}", "物理", "a|b")
        assert (instruction, score) == ("make it <b>blue</b>", step / 100 if step > 250 else None)
        assert {source["path"], edit["path"]} <= set(part["artifact"])
        assert part["history"][0]["eval/edits/filenames"][0] in part["files"]
        assert (source["width"], source["height"]) == (40, 30)
        folder = f"warmbench/20260101_{step:06d}"
        assert {f"{folder}/config.yaml", f"{folder}/manifest.json"} <= set(part["files"])


def test_mlflow_has_one_run_with_steps_settings_and_tags(read: dict[str, Any]) -> None:
    (run,) = read["mlflow"]
    assert (run["name"], run["status"], run["tags"]["team"]) == ("training", "FINISHED", "vision")
    assert sorted(run["metrics"]["eval/score"]) == [[250, 2.5], [500, 5.0], [1000, 10.0]]
    assert run["metrics"]["eval/category/物理"][0] == [500, 1.0]
    assert run["metrics"]["eval/category/add _50__"][0] == [500, 2.0]
    assert run["params"] == {
        "warmbench.data.path": "data.json",
        "warmbench.editor.parameters.seed": "7",
        "warmbench.editor.load.fast": "True",
    }


def test_mlflow_has_a_table_for_each_checkpoint_whose_images_are_there(read: dict[str, Any]) -> None:
    (run,) = read["mlflow"]
    tables = json.loads(run["tags"]["mlflow.loggedArtifacts"])
    names = [f"eval/pairs-20260101_{step:06d}.json" for step in STEPS]
    assert tables == [{"path": name, "type": "table"} for name in names]
    for step in STEPS:
        table = run["tables"][f"pairs-20260101_{step:06d}.json"]
        (row,) = table["data"]
        values = dict(zip(table["columns"], row, strict=True))
        assert (values["pair"], values["score"]) == ("a|b", step / 100 if step > 250 else None)
        for kind in ("source", "edit"):
            assert values[kind]["type"] == "image"
            assert values[kind]["filepath"] in run["files"]
        assert f"warmbench/20260101_{step:06d}/manifest.json" in run["files"]


def test_tensorboard_shows_a_curve_the_pairs_and_the_texts(read: dict[str, Any]) -> None:
    ((folder, shown),) = read["tensorboard"].items()
    assert folder == "training-012345"
    assert sorted(shown["scalars"]["eval/score"]) == [[250, 2.5], [500, 5.0], [1000, 10.0]]
    assert sorted(shown["images"]["eval/edits/物理/a|b"]) == [[step, 84] for step in sorted(STEPS)]
    assert shown["scalars"]["eval/pairs"][0] == [500, 1.0]
    assert "| data.path | data.json |" in shown["texts"]["eval/settings"][0]
    assert "| 物理/a\\|b | make it \\<b\\>blue\\</b\\> | 5 |" in shown["texts"]["eval/table"][0]
    assert "    # manifest.json of 500" in shown["texts"]["eval/files/manifest.json"][0]


def test_the_log_says_where_each_can_be_seen(read: dict[str, Any]) -> None:
    where: Mapping[str, list[str]] = read["where"]
    assert where["wandb"][0].endswith("(upload it with `wandb sync`)")
    assert where["mlflow"][0].startswith("run ")
    assert where["mlflow"][0].endswith("mlflow.db")
    assert where["tensorboard"][0].endswith("training-012345")


def test_names_that_mlflow_refuses_become_others_that_stay_apart() -> None:
    values = {"a(1)": 1, "a[1]": 2, "a_1_": 3, "物理/ok -.": 4, "x" * 300: 5, "x" * 301: 6, "../up": 7}
    named = allowed_names(values)
    assert list(named.values()) == list(values.values())
    assert list(named)[:4] == ["a_1_", "a_1__2", "a_1__3", "物理/ok -."]
    assert all(len(name) <= 250 for name in named)
    assert "__/up" not in named or ".." not in "".join(named)
