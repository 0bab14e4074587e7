"""The tiny models; a checkout has them once."""

from __future__ import annotations

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
