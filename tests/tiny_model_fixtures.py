"""The tiny models, once per test session: those of ``make setup`` if they are up to date, else built anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.tiny_models.catalog import MODELS

_SET_UP = Path(__file__).resolve().parents[1] / "outputs" / "tiny-models"


def _tiny_model(name: str, factory: pytest.TempPathFactory) -> Path:
    set_up = _SET_UP / name
    if MODELS[name].is_current(set_up):
        return set_up
    folder = factory.mktemp("tiny-models") / name
    MODELS[name].build(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_editor_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Qwen-Image-Edit pipeline."""
    return _tiny_model("editor", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_reward_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Qwen3-VL of random weights."""
    return _tiny_model("reward", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_trained_reward_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Qwen3-VL that answers in the form it is asked for."""
    return _tiny_model("reward-trained", tmp_path_factory)
