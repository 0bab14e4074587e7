"""The converted copy of a mixture of experts, on a tiny model of the real class."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.messages import ModelSpec
from workers.models.converted import bytes_to_convert, converted_folder
from workers.models.safetensors_files import read_header


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as the hub has it, in two shards of which one holds the experts."""
    from safetensors.torch import load_file, save_file

    from tests.workers.models.rewards import experts_check

    folder = tmp_path_factory.mktemp("moe") / "model"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        # No matrix is square: of a square one, nobody can tell whether it is transposed.
        patch.setitem(experts_check._MIXTURE, "moe_intermediate_size", 48)
        experts_check.build(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts: dict[str, dict[str, Any]] = {"model-1.safetensors": {}, "model-2.safetensors": {}}
    for name, weight in weights.items():
        if "mlp.experts." in name:
            parts["model-2.safetensors"][name] = weight.transpose(1, 2).contiguous()
        else:
            parts["model-1.safetensors"][name] = weight
    for file, part in parts.items():
        save_file(part, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def weights_of(folder: Path) -> Mapping[str, Any]:
    import torch
    from transformers import AutoModelForImageTextToText

    model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    state: Mapping[str, Any] = model.state_dict()
    return state


@pytest.mark.slow
def test_the_copy_gives_the_same_model_and_is_mapped(original: Path, cache: Path) -> None:
    import torch

    from workers.models.rewards.qwen3_vl import Qwen3VLReward

    reward = Qwen3VLReward(ModelSpec(role="reward", name=str(original), params={"dtype": "float32"}), "cpu")
    done: list[str] = []
    reward.fetch(lambda doing="downloading", /: done.append(doing))
    assert set(done) == {"converting"}
    copy = converted_folder(original)
    assert copy.is_relative_to(cache / "converted")
    plain, own = weights_of(original), weights_of(copy)
    assert plain.keys() == own.keys()
    assert all(torch.equal(plain[name], own[name]) for name in plain)

    assert reward.load_bytes("host") == 0
    reward.load("host")
    assert reward.host_bytes() < bytes_to_convert(original), "the experts are pages of the copy"
    assert [Path(name).parent for name in reward.weight_files()] == [original] * len(reward.weight_files()), (
        "the fingerprint is the original's"
    )
    assert {Path(name).parent for name in reward.mapped_files()} == {copy}


def test_only_what_differs_is_written_and_only_once(original: Path, cache: Path) -> None:
    calls: list[None] = []
    copy = converted_folder(original, lambda: calls.append(None))
    assert calls
    links = {path.name for path in copy.iterdir() if path.is_symlink()}
    assert {path.name for path in original.iterdir()} - links == {"model-2.safetensors"}
    before, after = read_header(original / "model-2.safetensors"), read_header(copy / "model-2.safetensors")
    for name, tensor in before.items():
        count, rows, columns = tensor.shape
        assert after[name].shape == (count, columns, rows)
    stamp = (copy / "model-2.safetensors").stat().st_mtime_ns
    calls.clear()
    assert converted_folder(original, lambda: calls.append(None)) == copy
    assert not calls
    assert (copy / "model-2.safetensors").stat().st_mtime_ns == stamp


def test_workers_that_start_together_make_one_copy(original: Path, cache: Path) -> None:
    copies: list[Path] = []
    threads = [threading.Thread(target=lambda: copies.append(converted_folder(original))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(copies)) == 1
    assert len([path for path in copies[0].parent.iterdir() if path.is_dir()]) == 1


def test_a_changed_original_gets_another_copy_and_the_old_one_goes(original: Path, cache: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    (folder / "README.md").write_text("A model.")
    first = converted_folder(folder)
    (folder / "README.md").write_text("A model that was described again.")
    assert converted_folder(folder) == first
    os.utime(folder / "model-2.safetensors")
    second = converted_folder(folder)
    assert second != first
    assert not first.exists()


def test_a_copy_that_was_changed_or_not_finished_is_made_again(original: Path, cache: Path) -> None:
    copy = converted_folder(original)
    whole = (copy / "model-2.safetensors").read_bytes()
    (copy / "model-2.safetensors").write_bytes(whole[:-1])
    (copy.parent / f"{copy.name}.unfinished").mkdir()
    assert converted_folder(original) == copy
    assert (copy / "model-2.safetensors").read_bytes() == whole
    assert not (copy.parent / f"{copy.name}.unfinished").exists()


def test_without_room_the_model_is_loaded_as_it_is_and_the_log_says_why(
    original: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with caplog.at_level(logging.WARNING):
        assert converted_folder(original) == original
    assert "no converted copy of" in caplog.text
    assert "its experts are converted in memory at each load" in caplog.text
    caplog.clear()
    assert converted_folder(original) == original
    assert not caplog.text, "a worker tries once: a quota shows only after many GB"
    assert bytes_to_convert(original) > 0, "such loads take turns"


def test_a_dense_model_is_loaded_as_it_is(tiny_reward_path: Path, cache: Path) -> None:
    assert converted_folder(tiny_reward_path) == tiny_reward_path
    assert not cache.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_type": "qwen3_vl_moe"}'])
def test_a_damaged_config_is_left_to_the_library(tmp_path: Path, cache: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert converted_folder(tmp_path) == tmp_path
