"""Edits of two runs are compared pixel by pixel."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from scheduler.commands.main import main
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, planned, scored
from tests.scheduler.saved import saved_run


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def run_with(output: Path, stamp: str, edits: dict[str, np.ndarray | None]) -> Path:
    """A run with these edits; those that are None have an image that is gone."""
    rows: list[Row] = []
    images: dict[str, bytes] = {}
    for name, pixels in edits.items():
        data = b"" if pixels is None else png(pixels)
        made = edited(name, sha256=hashlib.sha256(data or stamp.encode()).hexdigest())
        rows += [planned(name), made, scored(name, 5.0)]
        if data:
            images[str(made.image)] = data
    folder = saved_run(output, rows, stamp=stamp)
    (folder / "images").mkdir()
    for name, data in images.items():
        (folder / name).write_bytes(data)
    return folder


def noise(seed: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    pixels: np.ndarray = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return pixels


def test_compare_shows_how_far_the_edits_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    near = noise(1)
    near[20, 20] ^= 128
    edits = {"equal": noise(0), "near": noise(1), "other size": noise(2), "gone": noise(3)}
    run_with(tmp_path, "20260101_000000", dict(edits))
    other = {"equal": noise(0), "near": near, "other size": noise(2, (32, 32)), "gone": None}
    run_with(tmp_path, "20260101_000001", other)
    command = ["compare", "20260101_000000", "20260101_000001", "--output-dir", str(tmp_path)]
    assert main([*command, "--pixels"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "Pixels of B against A, 2 edits: 1 equal, mean difference 0.0208, largest 128 of 255, PSNR infinite in the "
        "median, 40.9 dB at the lowest, SSIM 0.9996 in the median, 0.9992 at the lowest; 1 of another size; "
        "1 without an image (`evaluation.save_generated_images: true` keeps them)"
    ) in shown
    report = json.loads(next(tmp_path.glob("comparison_*.json")).read_bytes())
    pixels = report["comparisons"][0]["pixels"]
    assert [(edit["pair_id"], edit["largest_difference"]) for edit in pixels["edits"]] == [("equal", 0), ("near", 128)]
    assert [edit["ssim"] for edit in pixels["edits"]] == [1.0, pytest.approx(pixels["ssim_min"])]
    assert "40.9 dB" in next(tmp_path.glob("comparison_*.md")).read_text(encoding="utf-8")

    assert main(command) == 0
    assert "Pixels" not in capsys.readouterr().out
    assert json.loads(next(tmp_path.glob("comparison_*.json")).read_bytes())["comparisons"][0]["pixels"] is None


def test_alpha_counts_where_an_edit_is_transparent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solid: np.ndarray = 255 - np.zeros((16, 16, 4), dtype=np.uint8)
    clear = solid.copy()
    clear[..., 3] = 0
    run_with(tmp_path, "20260101_000000", {"a": solid})
    run_with(tmp_path, "20260101_000001", {"a": clear})
    assert main(["compare", "20260101_000000", "20260101_000001", "--output-dir", str(tmp_path), "--pixels"]) == 0
    assert "1 edit: 0 equal, mean difference 63.8, largest 255 of 255" in " ".join(capsys.readouterr().out.split())


def test_edits_of_another_source_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [run_with(tmp_path, f"20260101_00000{number}", {"a": noise(number), "b": noise(9)}) for number in (0, 1)]
    ledger = folders[1] / "results.jsonl"
    lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    lines[0]["instruction"] = "something else"
    ledger.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    assert main(["compare", *(folder.name for folder in folders), "--output-dir", str(tmp_path), "--pixels"]) == 0
    assert "Pixels of B against A, 1 edit: 1 equal" in " ".join(capsys.readouterr().out.split())
