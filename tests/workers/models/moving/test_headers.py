"""Which checkpoints have to be converted."""

from __future__ import annotations

from pathlib import Path

import pytest


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
    from workers.models.moving.headers import stored_as

    assert stored_as(folder, dtype) is stored


@pytest.mark.parametrize("content", [b"", b"no header", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 20])
def test_a_damaged_file_is_left_to_the_library_that_loads_it(tmp_path: Path, content: bytes) -> None:
    from workers.models.moving.headers import stored_as

    (tmp_path / "model.safetensors").write_bytes(content)
    assert stored_as(tmp_path, "bfloat16")
