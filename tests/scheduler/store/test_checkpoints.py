"""The step of a checkpoint: from its name as trainers choose it, else from the trainer's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler.store.checkpoints import checkpoint_step, recorded_step, recorded_training, step_in_name
from scheduler.store.titles import run_title


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("out/checkpoint-900", 900),
        ("out/checkpoint-900/", 900),
        ("out/checkpoint-900/pipeline", 900),
        ("out/global_step1200", 1200),
        ("out/step_0042", 42),
        ("out/epoch=3-step=1500", 1500),
        ("out/step=1500-epoch=3", 1500),
        ("out/epoch-3", 3),
        ("out/steps/2000", 2000),
        ("out/iter-7-ema", 7),
        ("Qwen/Qwen-Image-Edit-2511", None),
        ("/data/20261121/best", None),
        ("out/checkpoint-9/deeper/pipeline", None),
        ("", None),
    ],
)
def test_the_step_is_read_from_the_name(name: str, step: int | None) -> None:
    assert step_in_name(name) == step


@pytest.mark.parametrize(
    ("content", "step"), [('{"global_step": 350}', 350), ('{"global_step": "350"}', None), ("{", None), ("[]", None)]
)
def test_a_name_without_a_step_has_that_of_the_trainers_state(tmp_path: Path, content: str, step: int | None) -> None:
    best = tmp_path / "training" / "best"
    best.mkdir(parents=True)
    (best / "trainer_state.json").write_text(content, encoding="utf-8")
    assert checkpoint_step(str(best)) == step
    assert checkpoint_step(str(best.parent / "checkpoint-7")) == 7


@pytest.mark.parametrize(
    ("editor", "step", "title"),
    [
        ({"model_name": "out/checkpoint-900", "step": 900}, 900, "out/checkpoint-900"),
        ({"model_name": "out/checkpoint-900"}, 900, "out/checkpoint-900"),
        ({"model_name": "out/best", "step": 350}, 350, "out/best step 350"),
        ({"model_name": "out/best", "step": True}, None, "out/best"),
        ({"model_name": "out/best"}, None, "out/best"),
        (None, None, "20261121_091500"),
    ],
)
def test_a_runs_title_has_the_step_once(editor: Any, step: int | None, title: str) -> None:
    assert recorded_step({"editor": editor}) == step
    assert run_title({"editor": editor}, "20261121_091500") == title


@pytest.mark.parametrize(
    ("manifest", "step", "training"),
    [
        ({"editor": {"model_name": "/t/out/checkpoint-900"}}, 900, "/t/out"),
        ({"editor": {"model_name": "/t/out/checkpoint-900/pipeline"}}, 900, "/t/out"),
        ({"editor": {"model_name": "/t/best", "step": 350}}, 350, "/t"),
        ({"editor": {"model_name": "Qwen/Qwen-Image-Edit-2511"}}, None, None),
        ({"editor": {"model_name": "base", "load": {"lora": [{"path": "/l/checkpoint-5/a.safetensors"}]}}}, 5, "/l"),
        ({"editor": {"load": {"optimizations": {"lora": [{"path": "/l/step-7"}]}}}}, 7, "/l"),
        ({"editor": None, "edits": {"from": "/edits/checkpoint-3"}}, 3, "/edits"),
        ({"editor": {"load": {"lora": "x"}}, "edits": 1}, None, None),
    ],
)
def test_a_run_has_the_step_of_what_was_trained_and_the_folder_of_that_training(
    manifest: Any, step: int | None, training: str | None
) -> None:
    assert recorded_step(manifest) == step
    assert recorded_training(manifest) == training
