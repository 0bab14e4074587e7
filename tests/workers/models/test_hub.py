"""Finding a model's files, and saying what is wrong where there are none."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from workers.interface import ModelError
from workers.models.hub import resolve_model, weight_files


def write(path: Path, text: str = "{}") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with nothing in it, and a hub that nobody answers for."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_local_folder_is_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "model" / "config.json")
    assert resolve_model(str(tmp_path / "model")) == tmp_path / "model"
    monkeypatch.chdir(tmp_path)
    assert resolve_model("model") == tmp_path / "model"


def test_a_pipeline_is_a_model_too(tmp_path: Path) -> None:
    write(tmp_path / "model_index.json")
    assert resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["./nothing", "/no/such/folder", "~/nothing-of-this-name", "a b"])
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="does not exist") as caught:
        resolve_model(name)
    assert caught.value.kind == "model_not_found"


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks model_index.json or config.json"):
        resolve_model(str(tmp_path))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path / "config.json")
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    write(tmp_path / "model.safetensors.index.json", json.dumps({"weight_map": shards}))
    write(tmp_path / "model-1.safetensors")
    with pytest.raises(ModelError, match=r"lacks model-2.safetensors"):
        resolve_model(str(tmp_path))


def test_an_index_that_is_no_index_is_named(tmp_path: Path) -> None:
    write(tmp_path / "config.json")
    write(tmp_path / "model.safetensors.index.json", "[]")
    with pytest.raises(ModelError, match=r"a readable model.safetensors.index.json"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("Qwen/Qwen3-VL-30B-Instruct", "Qwen/Qwen3-VL-30B-A3B-Instruct"),
        ("Qwen/Qwen3-VL-235B-Thinking", "Qwen/Qwen3-VL-235B-A22B-Thinking"),
        ("Qwen/Qwen-Image-Edit-2508", "Qwen/Qwen-Image-Edit-2509"),
    ],
)
def test_a_wrong_name_gets_the_right_one_as_a_hint(empty_hub: Path, name: str, right: str) -> None:
    with pytest.raises(ModelError, match=f"did you mean {right}") as caught:
        resolve_model(name)
    assert caught.value.kind == "model_not_found"


def test_a_right_name_gets_no_hint(empty_hub: Path) -> None:
    with pytest.raises(ModelError, match="can't be reached") as caught:
        resolve_model("Qwen/Qwen3-VL-8B-Instruct")
    assert "did you mean" not in str(caught.value)


def test_what_the_cache_holds_is_used_without_the_hub(empty_hub: Path) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    repository = empty_hub / "models--some--model"
    write(repository / "refs" / "main", revision)
    write(repository / "snapshots" / revision / "config.json")
    assert resolve_model("some/model") == repository / "snapshots" / revision


def test_bytes_that_arrive_are_progress_of_a_download(empty_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's download is replaced by one whose bytes arrive when the last ones were noticed."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    revision = "0123456789abcdef0123456789abcdef01234567"
    repository = empty_hub / "models--some--model"
    noticed = threading.Semaphore(0)

    def snapshot_download(name: str, *, local_files_only: bool = False, allow_patterns: list[str]) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        (repository / "blobs").mkdir(parents=True)
        for part in range(3):
            with (repository / "blobs" / "weights.incomplete").open("ab") as file:
                file.write(bytes([part]) * 100_000)
                os.fsync(file.fileno())
            assert noticed.acquire(timeout=20)
        write(repository / "snapshots" / revision / "config.json")
        return str(repository / "snapshots" / revision)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert resolve_model("some/model", noticed.release) == repository / "snapshots" / revision


def test_the_files_that_decide_are_listed_and_no_others(tmp_path: Path) -> None:
    for name in (
        "vae/x.safetensors",
        "a.json",
        "merges.txt",
        "chat_template.jinja",
        "README.md",
        ".cache/b.json",
        "c.bin",
    ):
        write(tmp_path / name)
    names = ["a.json", "chat_template.jinja", "merges.txt", "vae/x.safetensors"]
    assert weight_files(tmp_path) == [str(tmp_path / name) for name in names]
