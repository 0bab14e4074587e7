"""Is a model there? Folders, the cache, and a hub that really answers over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest

from scheduler.config.checks.model_lookup import is_local, local_folder, missing_model

PIPELINE, MODEL = "model_index.json", "config.json"
ON_HUB = {
    "Qwen/Qwen-Image-Edit": ["model_index.json"],
    "Qwen/Qwen3-VL-30B-A3B-Instruct": ["config.json", "model.safetensors"],
}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/models/").partition("?")[0]
        files = ON_HUB.get(name)
        body = {"id": name, "siblings": [{"rfilename": file} for file in files]} if files else {"error": "not found"}
        self.send_response(200 if files else 404)
        if not files:
            self.send_header("X-Error-Code", "RepoNotFound")
        text = json.dumps(body).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep the test's output clean."""


@pytest.fixture
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return cache


def test_a_folder_with_the_right_file_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").touch()
    assert missing_model(str(tmp_path), PIPELINE) is None
    missing = missing_model(str(tmp_path), MODEL)
    assert missing is not None
    assert "holds no config.json" in missing.message
    assert missing.hint == "it holds a diffusers pipeline: an editor, not a reward"


def test_a_folder_that_is_not_there_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "editor").mkdir()
    missing = missing_model(str(tmp_path / "editr"), PIPELINE)
    assert missing is not None
    assert "does not exist" in missing.message
    assert missing.hint == f"did you mean `{tmp_path / 'editor'}`?"


def test_what_looks_like_a_path_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    for name in ("/a", "./a", "../a", "~/a", "a/b/c", "owner/name", "owner"):
        assert is_local(name), name
    assert not is_local("Qwen/Qwen-Image-Edit")
    assert local_folder("owner/name") == str(tmp_path / "owner" / "name")
    assert local_folder("Qwen/Qwen-Image-Edit") == "Qwen/Qwen-Image-Edit"


def test_a_name_in_the_cache_is_there_without_asking(empty_cache: Path) -> None:
    folder = empty_cache / "models--Qwen--Qwen-Image-Edit"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc", encoding="utf-8")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "model_index.json").touch()
    assert missing_model("Qwen/Qwen-Image-Edit", PIPELINE, endpoint="http://127.0.0.1:1") is None


def test_a_name_on_the_hub_is_there(hub: str) -> None:
    assert missing_model("Qwen/Qwen-Image-Edit", PIPELINE, endpoint=hub) is None
    assert missing_model("Qwen/Qwen3-VL-30B-A3B-Instruct", MODEL, endpoint=hub) is None


def test_a_name_that_the_hub_does_not_know_gets_the_right_one_as_a_hint(hub: str) -> None:
    missing = missing_model("Qwen/Qwen3-VL-30B-Instruct", MODEL, endpoint=hub)
    assert missing is not None
    assert "no model on the hub" in missing.message
    assert missing.hint == "on the hub it is called `Qwen/Qwen3-VL-30B-A3B-Instruct`"
    missing = missing_model("Qwen/Qwen-Imag-Edit", PIPELINE, endpoint=hub)
    assert missing is not None
    assert missing.hint == "did you mean `Qwen/Qwen-Image-Edit`?"


def test_a_model_of_the_other_kind_is_reported(hub: str) -> None:
    missing = missing_model("Qwen/Qwen-Image-Edit", MODEL, endpoint=hub)
    assert missing is not None
    assert "holds no config.json" in missing.message


def test_a_hub_that_does_not_answer_is_reported() -> None:
    missing = missing_model("Qwen/Qwen-Image-Edit", PIPELINE, endpoint="http://127.0.0.1:1")
    assert missing is not None
    assert "not in the local Hugging Face cache, and the hub can't be reached" in missing.message


def test_offline_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    missing = missing_model("Qwen/Qwen-Image-Edit", PIPELINE, endpoint="http://127.0.0.1:1")
    assert missing is not None
    assert "HF_HUB_OFFLINE is set" in missing.message


@pytest.mark.parametrize("name", ["what is this", "a b/c", "x" * 300, "/" + "x" * 5000])
def test_a_name_that_can_be_neither_is_reported(name: str) -> None:
    missing = missing_model(name, PIPELINE)
    assert missing is not None
    assert "neither a folder nor a name" in missing.message or "can't be looked at" in missing.message


def test_a_folder_with_half_a_model_is_reported(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_text('{"architectures": ["Qwen3VLForConditionalGeneration"]}')
    missing = missing_model(str(tmp_path), MODEL)
    assert missing is not None
    assert missing.message == f"the folder {tmp_path} lacks *.safetensors"
    assert missing.hint == "copy or download it again"
    (tmp_path / "model.safetensors").write_bytes(bytes(7))
    missing = missing_model(str(tmp_path), MODEL)
    assert missing is not None
    assert "model.safetensors has 7 bytes, less than its header: it was cut off" in missing.message


def test_half_a_model_in_the_cache_is_downloaded_unless_offline_or_damaged(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = empty_cache / "models--Qwen--Qwen3-VL-8B-Instruct"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc", encoding="utf-8")
    (snapshot / MODEL).write_text('{"architectures": ["Qwen3VLForConditionalGeneration"]}')
    assert missing_model("Qwen/Qwen3-VL-8B-Instruct", MODEL) is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    missing = missing_model("Qwen/Qwen3-VL-8B-Instruct", MODEL)
    assert missing is not None
    assert "lacks *.safetensors" in missing.message
    monkeypatch.delenv("HF_HUB_OFFLINE")
    (snapshot / "model.safetensors").write_bytes(bytes(7))
    missing = missing_model("Qwen/Qwen3-VL-8B-Instruct", MODEL)
    assert missing is not None
    assert "it was cut off" in missing.message
