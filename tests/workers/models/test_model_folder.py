"""A folder that looks like a model, and lacks files or has half of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.models.model_folder import damaged_files, loaded_weights, missing_files


def safetensors(tensors: int = 1) -> bytes:
    """A file of this format with tensors of four bytes."""
    header = {"__metadata__": {"format": "pt"}} | {
        f"weight-{number}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * number, 4 * number + 4]}
        for number in range(tensors)
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(4 * tensors)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A whole pipeline: a transformer in two shards, a VAE in one file, a scheduler without weights."""
    index = {
        "_class_name": "QwenImageEditPipeline",
        "transformer": ["diffusers", "QwenImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "safety_checker": [None, None],
    }
    for name in ("transformer", "vae", "scheduler"):
        (tmp_path / name).mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "transformer" / "config.json").write_text("{}")
    shards = {"weight-0": "model-1.safetensors", "weight-1": "model-2.safetensors"}
    place = tmp_path / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    place.write_text(json.dumps({"weight_map": shards}))
    for shard in shards.values():
        (tmp_path / "transformer" / shard).write_bytes(safetensors())
    (tmp_path / "vae" / "config.json").write_text("{}")
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(safetensors(3))
    (tmp_path / "scheduler" / "scheduler_config.json").write_text("{}")
    return tmp_path


def test_a_whole_model_lacks_nothing_and_other_files_do_not_matter(pipeline: Path) -> None:
    (pipeline / "transformer" / "another-download.safetensors").write_bytes(b"half")
    assert missing_files(pipeline) == []
    assert damaged_files(pipeline) == []


@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ("transformer/model-2.safetensors", "transformer/model-2.safetensors"),
        ("vae/diffusion_pytorch_model.safetensors", "vae/*.safetensors"),
        ("model_index.json", "model_index.json or config.json"),
        ("scheduler/scheduler_config.json scheduler", "scheduler/"),
    ],
)
def test_what_a_folder_lacks_is_named(pipeline: Path, removed: str, missing: str) -> None:
    for name in removed.split():
        path = pipeline / name
        path.rmdir() if path.is_dir() else path.unlink()
    assert missing_files(pipeline) == [missing]


def test_a_model_without_any_weights_lacks_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen3VLForConditionalGeneration"]}')
    assert missing_files(tmp_path) == ["*.safetensors"]
    (tmp_path / "model.safetensors").write_bytes(safetensors())
    assert missing_files(tmp_path) == []


WHOLE = safetensors(2)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (WHOLE[:-1], f"has {len(WHOLE) - 1} bytes, and its header describes {len(WHOLE)}: it was cut off"),
        (WHOLE + b"x", f"has {len(WHOLE) + 1} bytes, and its header describes {len(WHOLE)}: it is damaged"),
        (WHOLE[:40], "has 40 bytes, less than its header: it was cut off"),
        (b"", "has 0 bytes, less than its header: it was cut off"),
        (b"\x02" + bytes(7) + b"[]", "has a header that can't be read: it is damaged"),
        (b"\x04" + bytes(7) + b"\xff\xff\xff\xff", "has a header that can't be read: it is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "`git lfs pull` fetches it"),
    ],
)
@pytest.mark.parametrize("name", ["transformer/model-1.safetensors", "vae/diffusion_pytorch_model.safetensors"])
def test_a_file_whose_length_does_not_fit_its_header_is_named(
    pipeline: Path, name: str, content: bytes, problem: str
) -> None:
    (pipeline / name).write_bytes(content)
    (sentence,) = damaged_files(pipeline)
    assert sentence.startswith(f"{name} ")
    assert sentence.endswith(problem)


def test_only_the_files_that_are_loaded_are_the_weights_of_a_pipeline(pipeline: Path) -> None:
    before = loaded_weights(pipeline)
    assert len(before) == 3
    for name in ("vae/diffusion_pytorch_model.fp16.safetensors", "lora.safetensors", "old/model.safetensors"):
        (pipeline / name).parent.mkdir(exist_ok=True)
        (pipeline / name).write_bytes(safetensors())
    assert loaded_weights(pipeline) == before


def test_earlier_checkpoints_of_a_training_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Judge"]}')
    shards = [tmp_path / f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for shard in shards:
        shard.write_bytes(safetensors())
    index = {"weight_map": {f"{number}": shard.name for number, shard in enumerate(shards)}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500/model.safetensors").write_bytes(safetensors())
    assert loaded_weights(tmp_path) == shards
    (tmp_path / "model.safetensors.index.json").unlink()
    assert len(loaded_weights(tmp_path)) == 3, "without a usual name all count"
