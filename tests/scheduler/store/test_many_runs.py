"""One name may stand for several runs: a sweep, a watch, a pattern of titles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.store.many_runs import locate_runs
from scheduler.store.run_names import NoSuchRunError
from tests.scheduler.saved import saved_run


def runs_of(output: Path, **models: str) -> None:
    for stamp, model in models.items():
        saved_run(output, [], stamp=stamp.lstrip("_"), manifest={"editor": {"model_name": model}})


def listed(file: Path, **content: Any) -> Path:
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file.parent


@pytest.fixture
def output(tmp_path: Path) -> Path:
    runs_of(tmp_path, _20260101_120000="t/checkpoint-1", _20260101_120001="t/checkpoint-2", _20260101_120002="u/base")
    return tmp_path


def found(output: Path, *names: str) -> list[str]:
    return [path.name[-1] for path in locate_runs(names, output)]


def test_a_pattern_stands_for_the_runs_with_such_a_title_or_id_the_newest_last(output: Path) -> None:
    assert found(output, "t/*") == ["0", "1"]
    assert found(output, "*_12000[12]") == ["1", "2"]
    assert found(output, f"{output}/runs/2026*_12000[01]") == ["0", "1"]
    with pytest.raises(NoSuchRunError, match="has a title or an id like 'v/\\*'"):
        found(output, "v/*")


def test_each_run_comes_once_in_the_order_of_the_names(output: Path) -> None:
    assert found(output, "u/base", "t/checkpoint-2", "20260101_120000", "t/*") == ["2", "1", "0"]


def test_a_sweep_stands_for_its_runs_in_its_order(output: Path) -> None:
    runs = [{"run": "20260101_120002"}, {"run": None}, {"run": "20260101_120000"}, {"run": "../x"}, {"run": "gone"}]
    folder = listed(output / "sweeps/20260101_115959/sweep.json", checkpoints=runs)
    assert found(output, "20260101_115959") == ["2", "0"]
    assert found(output, str(folder)) == ["2", "0"]
    assert found(output, "20260101_115959", "t/checkpoint-2") == ["2", "0", "1"]


def test_an_id_that_a_sweep_and_a_run_have_is_the_sweeps_only_if_it_is_alone(output: Path) -> None:
    listed(
        output / "sweeps/20260101_120000/sweep.json",
        checkpoints=[{"run": "20260101_120000"}, {"run": "20260101_120001"}],
    )
    assert found(output, "20260101_120000") == ["0", "1"]
    assert found(output, "20260101_120000", "u/base") == ["0", "2"]


def test_a_watched_folder_stands_for_the_runs_of_its_watch(output: Path, tmp_path: Path) -> None:
    watched = tmp_path / "training"
    watched.mkdir()
    folder = listed(
        output / "watches/training-1/watch.json", folder=str(watched), checkpoints=[{"run": "20260101_120001"}]
    )
    assert found(output, str(watched)) == found(output, str(folder)) == ["1"]


@pytest.mark.parametrize("content", [{}, {"checkpoints": 1}, {"checkpoints": [1, {"run": 2}]}])
def test_a_sweep_without_a_run_is_refused(output: Path, content: dict[str, Any]) -> None:
    listed(output / "sweeps/20260101_115959/sweep.json", **content)
    with pytest.raises(NoSuchRunError, match=r"sweep.json has no run with a ledger"):
        found(output, "20260101_115959")
