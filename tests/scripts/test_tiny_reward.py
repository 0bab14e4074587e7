"""The tiny reward models: the same bytes each time, and the real classes load them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.tiny_models.reward import build_reward


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.slow
def test_building_gives_the_same_model_each_time(tiny_reward_path: Path, tmp_path: Path) -> None:
    build_reward(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tiny_reward_path)


def test_the_real_classes_load_it(tiny_reward_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForImageTextToText

    assert AutoConfig.from_pretrained(tiny_reward_path).model_type == "qwen3_vl"
    model = AutoModelForImageTextToText.from_pretrained(tiny_reward_path)
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000


def test_the_files_are_small_and_safe_to_read(tiny_reward_path: Path, tiny_trained_reward_path: Path) -> None:
    for folder in (tiny_reward_path, tiny_trained_reward_path):
        suffixes = {path.suffix for path in folder.iterdir() if not path.name.startswith(".")}
        assert suffixes <= {".safetensors", ".json", ".jinja", ".txt"}
        assert sum(len(content) for content in contents(folder).values()) < 2_000_000


@pytest.mark.slow
def test_training_gives_the_same_model_each_time(tmp_path: Path) -> None:
    from scripts.tiny_models.reward_training import build_trained_reward

    for name in ("first", "again"):
        build_trained_reward(tmp_path / name, steps=8)
    assert contents(tmp_path / "again") == contents(tmp_path / "first")
