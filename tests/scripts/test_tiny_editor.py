"""The tiny editor is a complete checkpoint, the same at each build, and fast enough for demonstrations."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from scripts.tiny_models.__main__ import main
from scripts.tiny_models.catalog import MODELS
from scripts.tiny_models.editor import build_editor

pytestmark = pytest.mark.slow


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_building_it_twice_gives_the_same_bytes(tiny_editor_path: Path, tmp_path: Path) -> None:
    build_editor(tmp_path / "again")
    assert hashes(tmp_path / "again") == hashes(tiny_editor_path)


def test_another_seed_gives_another_checkpoint_of_the_same_architecture(tiny_editor_path: Path, tmp_path: Path) -> None:
    build_editor(tmp_path / "other", seed=1)
    first, other = hashes(tiny_editor_path), hashes(tmp_path / "other")
    assert first.keys() == other.keys()
    assert {name for name in first if first[name] != other[name]} == {n for n in first if n.endswith(".safetensors")}


def test_the_index_names_only_classes_of_the_libraries(tiny_editor_path: Path) -> None:
    index = json.loads((tiny_editor_path / "model_index.json").read_text(encoding="utf-8"))
    libraries = {value[0] for name, value in index.items() if not name.startswith("_")}
    assert libraries == {"diffusers", "transformers"}
    assert index["processor"] == ["transformers", "Qwen2VLProcessor"]


def test_a_model_is_built_once_and_again_when_a_file_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "editor"
    for expected in ("built in", "up to date"):
        main([str(tmp_path), "--only", "editor"])
        assert expected in capsys.readouterr().out
    (folder / "vae" / "config.json").unlink()
    assert not MODELS["editor"].is_current(folder)
    main([str(tmp_path), "--only", "editor"])
    assert MODELS["editor"].is_current(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["editor"], "nothing else is left behind"


def test_a_model_of_other_library_versions_is_out_of_date(tiny_editor_path: Path, tmp_path: Path) -> None:
    stamp = json.loads((tiny_editor_path / ".built.json").read_text(encoding="utf-8"))
    stamp["libraries"]["torch"] = "1.0.0"
    folder = tmp_path / "editor"
    folder.mkdir()
    (folder / ".built.json").write_text(json.dumps(stamp), encoding="utf-8")
    assert not MODELS["editor"].is_current(folder)


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    from dataclasses import replace

    broken = replace(MODELS["editor"], builder="json.loads")
    with pytest.raises(TypeError):
        broken.build(tmp_path / "editor")
    assert list(tmp_path.iterdir()) == []
