"""What a model is, as one hash."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol.messages import ModelSpec
from workers.fingerprint import fingerprint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "part").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "part" / "weights.safetensors").write_bytes(b"weights")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


def spec(name: Path | str = "m", **params: object) -> ModelSpec:
    return ModelSpec(role="editor", type="qwen_image_edit", name=str(name), params={"dtype": "float32", **params})


def test_the_same_files_elsewhere_are_the_same_model(model: Path, tmp_path: Path) -> None:
    first = fingerprint(spec(model), files(model), tmp_path / "cache")
    moved = model.rename(tmp_path / "moved")
    assert fingerprint(spec(moved), files(moved), tmp_path / "cache") == first


def test_other_weights_other_parameters_and_other_classes_are_other_models(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fingerprints = {
        fingerprint(spec(), files(model), cache),
        fingerprint(spec(threads_per_worker=2), files(model), cache),
        fingerprint(msgspec.structs.replace(spec(), type=None, class_path="a.B"), files(model), cache),
    }
    (model / "part" / "weights.safetensors").write_bytes(b"WEIGHTS")
    fingerprints.add(fingerprint(spec(), files(model), cache))
    assert len(fingerprints) == 4


def test_where_it_runs_does_not_change_what_a_model_is(model: Path, tmp_path: Path) -> None:
    one = fingerprint(spec(), files(model), tmp_path / "cache")
    many = msgspec.structs.replace(spec(), type="multi_gpu_qwen_image_edit")
    assert fingerprint(many, files(model), tmp_path / "cache") == one


def test_a_file_is_read_again_only_when_it_has_changed(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = fingerprint(spec(), files(model), cache)
    weights = model / "part" / "weights.safetensors"
    status = weights.stat()
    with weights.open("r+b") as file:
        file.write(b"WEIGHTS")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(spec(), files(model), cache) == first, "same inode, size and time: taken from the cache"
    os.utime(weights)
    assert fingerprint(spec(), files(model), cache) != first


def test_a_damaged_cache_is_ignored(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = fingerprint(spec(), files(model), cache)
    for content in (b"", b"[1]", b"\xff", b'{"a": 1}'):
        cache.write_bytes(content)
        assert fingerprint(spec(), files(model), cache) == first


def test_models_without_files_differ_by_name(tmp_path: Path) -> None:
    assert fingerprint(spec("a"), [], tmp_path / "cache") != fingerprint(spec("b"), [], tmp_path / "cache")


def test_a_judges_server_counts_by_its_command_alone(tmp_path: Path) -> None:
    def of(**server: Any) -> str:
        judge = ModelSpec(role="reward", type="openai", name="m", params={"server": server, "api_key_env": "A"})
        return fingerprint(judge, [], tmp_path / "cache")

    first = of(command=["serve", "m"], port=8000)
    assert of(command=["serve", "m"], env={"CUDA_VISIBLE_DEVICES": "1"}, start_timeout_seconds=9.0) == first
    assert of(command=["serve", "m", "--quantization", "fp8"], port=8000) != first
