"""Headers of safetensors files, as the library itself writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workers.models.safetensors_files import DamagedFileError, cast_bytes, goes_straight, read_header, stored_as


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np
    from safetensors.numpy import save_file

    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    tensors: dict[str, Any] = {
        "half": np.ones((2, 3), np.float16),
        "full": np.ones(5, np.float32),
        "index": np.ones(7, np.int64),
    }
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def test_the_header_says_what_is_in_a_file(file: Path) -> None:
    tensors = read_header(file)
    assert {name: (tensor.dtype, tensor.shape, tensor.size_bytes) for name, tensor in tensors.items()} == {
        "half": ("F16", (2, 3), 12),
        "full": ("F32", (5,), 20),
        "index": ("I64", (7,), 56),
    }


@pytest.mark.parametrize(
    ("dtype", "copied"), [("float16", 5 * 2), ("float32", 6 * 4), ("bfloat16", 11 * 2), ("auto", 0)]
)
def test_weights_that_are_cast_are_copies_of_their_new_size(file: Path, dtype: str, copied: int) -> None:
    assert cast_bytes([file, file.with_name("config.json"), file.with_name("gone.safetensors")], dtype) == copied


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        b"\xff" * 16,
        b"\x02" + bytes(7) + b"[]",
        b"\x02" + bytes(7) + b"{}" + b"more",
        b"\x05" + bytes(7),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"model\.safetensors"):
        read_header(path)


def test_a_file_that_was_cut_off_is_named_with_both_lengths(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(file.read_bytes()[:-1])
    size = path.stat().st_size
    with pytest.raises(DamagedFileError, match=f"has {size} bytes, and its header says {size + 1}"):
        read_header(path)


# -- which checkpoints have to be converted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(100, dtype=torch.bfloat16), "norm": torch.zeros(4)}, tmp_path / "1.safetensors")
    save_file({"b": torch.zeros(100, dtype=torch.bfloat16)}, tmp_path / "2.safetensors", metadata={"format": "pt"})
    return tmp_path


@pytest.mark.parametrize(
    ("dtype", "stored"), [("bfloat16", True), ("float32", False), ("float16", False), ("auto", True)]
)
def test_most_bytes_decide(folder: Path, dtype: str, stored: bool) -> None:
    assert stored_as(folder, dtype) is stored


@pytest.mark.parametrize("content", [b"", b"no header", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 20])
def test_a_damaged_file_is_left_to_the_library_that_loads_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert stored_as(tmp_path, "bfloat16")


def test_only_a_whole_model_on_one_gpu_is_converted_there() -> None:
    assert goes_straight({"offload": "none"}, "device", ["cuda:1"])
    assert not goes_straight({}, "host", ["cuda:1"])
    assert not goes_straight({}, "device", ["cpu"])
    assert not goes_straight({}, "device", ["cuda:0", "cuda:1"])
    assert not goes_straight({"offload": "group"}, "device", ["cuda:1"])
