"""The tiny models; a checkout has them once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.set_up import tiny_model


@pytest.fixture(scope="session")
def tiny_editor_path() -> Path:
    """A folder with a tiny Qwen-Image-Edit pipeline."""
    return tiny_model("editor")


@pytest.fixture(scope="session")
def other_tiny_editor_path() -> Path:
    """The same pipeline with other weights."""
    return tiny_model("editor-other")


@pytest.fixture(scope="session")
def tiny_plus_editor_path(tiny_editor_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny editor as a Qwen-Image-Edit Plus pipeline, which has the same components and takes several images."""
    folder = tmp_path_factory.mktemp("plus") / "model"
    shutil.copytree(tiny_editor_path, folder)
    index = folder / "model_index.json"
    plus = {**json.loads(index.read_text(encoding="utf-8")), "_class_name": "QwenImageEditPlusPipeline"}
    index.write_text(json.dumps(plus), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_reward_path() -> Path:
    """A folder with a tiny Qwen3-VL of random weights."""
    return tiny_model("reward")


@pytest.fixture(scope="session")
def recorded_reward_path() -> Path:
    """The tiny Qwen3-VL of the recorded runs, for which digits are as likely as anything else."""
    return tiny_model("reward-recorded")


@pytest.fixture(scope="session")
def tiny_trained_reward_path() -> Path:
    """A folder with a tiny Qwen3-VL that answers in the form it is asked for."""
    return tiny_model("reward-trained")
