"""What counts as a checkpoint below a training's output folder, and what one lacks."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from scheduler.run.watch_order import Sighting
from scheduler.run.watched_folder import WatchedFolder
from workers.models.assembled import assemble
from workers.models.model_folder import missing_files

INDEX = "model_index.json"

SHARDS = ("diffusion_pytorch_model-00001-of-00002.safetensors", "diffusion_pytorch_model-00002-of-00002.safetensors")


def weights(size: int = 16) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


def pipeline(folder: Path) -> Path:
    """A pipeline whose transformer has two shards."""
    transformer = folder / "transformer"
    transformer.mkdir(parents=True)
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "Any", "transformer": ["diffusers", "T"], "scheduler": ["diffusers", "S"]})
    )
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    (transformer / "config.json").write_text("{}")
    for shard in SHARDS:
        (transformer / shard).write_bytes(weights())
    index = {"weight_map": {f"w{number}": shard for number, shard in enumerate(SHARDS)}}
    (transformer / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def watched(folder: Path, entry_file: str | None = "model_index.json") -> WatchedFolder:
    return WatchedFolder(folder, entry_file, output_dir=folder / "outputs")


def found(folder: Path, entry_file: str | None = "model_index.json") -> dict[str, tuple[str, ...]]:
    return {one.path: one.lacks for one in watched(folder, entry_file).look({})}


def test_pipelines_are_found_where_trainers_put_them_and_folders_with_a_step_will_become_one(tmp_path: Path) -> None:
    for name in ("checkpoint-1000", "run-b/epoch-3", "step_20/pipeline", "."):
        pipeline(tmp_path / name)
    (tmp_path / "checkpoint-2000").mkdir()
    (tmp_path / "logs").mkdir()
    pipeline(tmp_path / ".cache" / "checkpoint-5")
    pipeline(tmp_path / "outputs" / "checkpoint-6")
    (tmp_path / "latest").symlink_to("checkpoint-1000")
    pipeline(tmp_path / "a" / "b" / "c" / "checkpoint-7")

    assert found(tmp_path) == {
        "checkpoint-1000": (),
        "checkpoint-2000": ("it lacks model_index.json",),
        "run-b/epoch-3": (),
        "step_20/pipeline": (),
        ".": (),
    }
    steps = {one.path: one.step for one in watched(tmp_path).look({})}
    assert (steps["checkpoint-1000"], steps["run-b/epoch-3"], steps["step_20/pipeline"]) == (1000, 3, 20)


def test_a_folder_that_is_not_there_yet_is_an_error_that_can_be_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watched(tmp_path / "out").look({})
    assert found(tmp_path) == {}


def test_what_is_missing_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "step-1")
    first, second = (folder / "transformer" / name for name in SHARDS)
    whole = first.read_bytes()

    second.rename(folder / "transformer" / f"{SHARDS[1]}.tmp")
    assert found(tmp_path)["step-1"] == (
        f"still being written: transformer/{SHARDS[1]}.tmp",
        f"it lacks transformer/{SHARDS[1]}",
    )
    (folder / "transformer" / f"{SHARDS[1]}.tmp").rename(second)
    first.write_bytes(whole[:-4])
    (lack,) = found(tmp_path)["step-1"]
    assert lack.startswith(f"transformer/{SHARDS[0]} has {len(whole) - 4} bytes, and its header describes {len(whole)}")
    first.write_bytes(whole)
    assert found(tmp_path) == {"step-1": ()}
    (folder / "transformer" / f".{SHARDS[0]}.Xy12Zw").write_bytes(b"")  # as rsync calls a file that it writes
    assert found(tmp_path)["step-1"] == (f"still being written: transformer/.{SHARDS[0]}.Xy12Zw",)


@pytest.mark.parametrize("name", ["checkpoint-1.tmp", "tmp-checkpoint-1", "checkpoint-1_tmp", "tmp_run/checkpoint-1"])
def test_a_folder_that_will_be_renamed_is_not_complete(tmp_path: Path, name: str) -> None:
    pipeline(tmp_path / name)
    (one,) = watched(tmp_path).look({})
    assert one.temporary


def test_other_content_is_another_version_and_what_is_beside_the_model_is_not(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "step-1")
    version = watched(tmp_path).look({})[0].version
    (folder / "optimizer.bin").write_bytes(b"state")
    (folder / "README.md").touch()
    assert watched(tmp_path).look({})[0].version == version
    moved = folder / "transformer" / SHARDS[0]
    moved.write_bytes(weights())
    os.utime(moved, ns=(1, 1))
    assert watched(tmp_path).look({})[0].version != version


def test_what_was_decided_is_not_read_again(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "step-1")
    (folder / "transformer" / SHARDS[0]).write_bytes(b"damaged")
    (one,) = watched(tmp_path).look({})
    assert one.lacks
    assert watched(tmp_path).look({"step-1": one.version})[0].lacks == ()
    assert watched(tmp_path).look({"step-1": "other"})[0].lacks == one.lacks


def test_one_checkpoint_is_looked_at_by_its_path(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "step-1")
    (one,) = watched(tmp_path).look({})
    again = watched(tmp_path).look_at("step-1")
    assert again is not None
    assert again.version == one.version
    shutil.rmtree(folder)
    assert watched(tmp_path).look_at("step-1") is None


def test_an_editor_that_takes_any_folder_gets_those_with_a_step_or_a_model(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "weights.bin").touch()
    (tmp_path / "checkpoint-2" / "inner").mkdir(parents=True)
    (tmp_path / "checkpoint-2" / "model.safetensors").write_bytes(weights()[:-1])
    pipeline(tmp_path / "final")
    (tmp_path / "logs").mkdir()
    folders = found(tmp_path, entry_file=None)
    assert folders.keys() == {"checkpoint-1", "checkpoint-2", "final"}
    assert folders["checkpoint-1"] == folders["final"] == ()
    assert "it was cut off" in folders["checkpoint-2"][0]


def test_a_component_alone_is_a_checkpoint_of_the_pipeline_that_it_belongs_to(tmp_path: Path) -> None:
    base = pipeline(tmp_path / "base")
    out = tmp_path / "out"
    trained = pipeline(tmp_path / "whole") / "transformer"
    shutil.copytree(trained, out / "step_2000" / "transformer")
    (out / "step_2000" / "optimizer.bin").touch()
    shutil.copytree(trained, out / "step_3000" / "transformer", ignore=shutil.ignore_patterns(SHARDS[1]))
    (out / "step_4000" / "transformer").mkdir(parents=True)
    (out / "step_4000" / "transformer" / "config.json").touch()
    (out / "vae").mkdir()

    def look(base: Path | None) -> dict[str, Sighting]:
        return {one.path: one for one in WatchedFolder(out, INDEX, output_dir=tmp_path, base=base).look({})}

    seen = look(base)
    assert {path: (one.trained, one.lacks) for path, one in seen.items()} == {
        "step_2000": (("transformer",), ()),
        "step_3000": (("transformer",), (f"it lacks transformer/{SHARDS[1]}",)),
        "step_4000": (("transformer",), ("it lacks transformer/*.safetensors",)),
    }
    assert look(tmp_path / "whole")["step_2000"].version != seen["step_2000"].version, "the other components differ"
    (lack,) = look(None)["step_2000"].lacks
    assert lack.startswith("it lacks model_index.json; for transformer alone, model_name in the config must be")
    (out / "step_2000" / "pytorch_lora_weights.safetensors").touch()
    assert look(None)["step_2000"].lacks[0].endswith("and a LoRA alone is not evaluated")

    for _ in range(2):  # a watch that was killed makes it again
        assemble(base, INDEX, {"transformer": out / "step_2000" / "transformer"}, tmp_path / "made" / "step_2000")
    made = tmp_path / "made" / "step_2000"
    assert not missing_files(made)
    assert (made / "transformer" / SHARDS[0]).resolve() == out / "step_2000" / "transformer" / SHARDS[0]
    assert (made / "scheduler" / "scheduler_config.json").resolve().is_relative_to(base)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["step_2000"]


def test_an_empty_folder_changes_when_something_is_written(tmp_path: Path) -> None:
    (tmp_path / "step-1").mkdir()
    (one,) = watched(tmp_path).look({})
    assert 0 <= one.age < 60
    (tmp_path / "step-1" / "config.json").touch()
    assert watched(tmp_path).look({})[0].version != one.version
