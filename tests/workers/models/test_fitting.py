"""What a GPU has to hold of a model, from the headers of files that hold no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from workers.models.fitting import GPUS, needed_bytes, parts_of, ways


def write(path: Path, tensors: Mapping[str, tuple[int, ...]], dtype: str = "BF16", width: int = 2) -> Path:
    """A file with zeros that take no space on disk."""
    header, end = {}, 0
    for name, shape in tensors.items():
        size = width
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A pipeline of 40 GB, 16 GB and 0.2 GB."""
    blocks = {f"blocks.{number}.linear.weight": (20_000, 50_000) for number in range(20)}
    encoder = {"embed_tokens.weight": (1_000_000, 1_000), "layers.0.linear.weight": (70_000, 100_000)}
    return [
        write(tmp_path / "transformer" / "a.safetensors", blocks),
        write(tmp_path / "text_encoder" / "a.safetensors", encoder),
        write(tmp_path / "vae" / "a.safetensors", {"linear.weight": (10_000, 10_000)}),
    ]


def test_whole_and_offloaded(files: list[Path]) -> None:
    parts = parts_of(files, "bfloat16").values()
    assert needed_bytes(parts) == 56_200_000_000
    assert needed_bytes(parts, offload="model") == 40_000_000_000
    assert needed_bytes(parts, offload="group") == 2 * 14_000_000_000


def test_quantization_leaves_embeddings_and_the_vae_as_they_are(files: list[Path]) -> None:
    parts = parts_of(files, "bfloat16").values()
    assert needed_bytes(parts, quantization="int8") == 20_000_000_000 + 9_000_000_000 + 200_000_000
    assert needed_bytes(parts, offload="model", quantization="nf4") == 20_000_000_000 * 9 // 16
    assert needed_bytes(parts_of(files, "float32").values(), quantization="int8") == 31_400_000_000


def test_a_dtype_is_that_of_the_loaded_weights(files: list[Path]) -> None:
    assert needed_bytes(parts_of(files, "float32").values()) == 2 * 56_200_000_000
    assert needed_bytes(parts_of(files, "auto").values()) == 56_200_000_000


def test_what_fits_where(files: list[Path]) -> None:
    rows = {way.keys: way for way in ways(parts_of(files, "bfloat16").values(), "editor")}
    assert [*rows["whole"].fits] == [*GPUS]
    fitting = {keys: [name for name, room in way.fits.items() if room] for keys, way in rows.items()}
    assert fitting["whole"] == ["80 GB", "141 GB"]
    assert fitting["gpus_per_worker: 2"] == ["2 x 48 GB", "2 x 80 GB", "2 x 141 GB"]
    assert fitting["gpus_per_worker: 4"] == ["4 x 48 GB", "4 x 80 GB", "4 x 141 GB"]
    assert fitting["quantization: int8"] == ["48 GB", "80 GB", "141 GB"]
    assert fitting["offload: model, quantization: nf4"] == [*GPUS]


def test_a_file_that_cannot_be_read_counts_as_nothing(tmp_path: Path) -> None:
    damaged = tmp_path / "vae" / "a.safetensors"
    damaged.parent.mkdir()
    damaged.write_bytes(b"no header")
    parts = parts_of([damaged, tmp_path / "gone.safetensors"], "auto").values()
    assert needed_bytes(parts) == needed_bytes(parts, offload="group") == 0
