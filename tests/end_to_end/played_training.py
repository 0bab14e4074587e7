"""Plays a training: ``python -m tests.end_to_end.played_training MODEL OUT PAUSE HALF`` writes six checkpoints.

Each is a copy of MODEL with other weights, PAUSE seconds after the one before. ``step_300`` is broken, ``step_400`` is
half-written for HALF seconds, ``step_500`` is deleted before it is complete, and ``step_600`` is a transformer alone.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def other_weights(model: Path, step: int) -> bytes:
    """The transformer of the model, with the lowest bits of its numbers changed."""
    content = bytearray((model / WEIGHTS).read_bytes())
    header = int.from_bytes(content[:8], "little")
    for place in range(8 + header, len(content), 4):
        content[place] ^= step // 100
    return bytes(content)


def write(model: Path, folder: Path, weights: bytes, *, half_seconds: float = 0.0, files: str = "**/*") -> None:
    """Write a checkpoint file by file, as trainers do, its weights in two halves."""
    for source in sorted(path for path in model.glob(files) if path.is_file() and path.name[0] != "."):
        target = folder / source.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target != folder / WEIGHTS:
            shutil.copyfile(source, target)
            continue
        with target.open("wb") as file:
            file.write(weights[: len(weights) // 2])
            file.flush()
            time.sleep(half_seconds)
            file.write(weights[len(weights) // 2 :])


def train(model: Path, out: Path, pause: float, half_seconds: float) -> None:
    """Write the six checkpoints."""
    for step in range(100, 700, 100):
        folder, weights = out / f"step_{step}", other_weights(model, step)
        if step == 300:
            header = json.dumps({"broken": "this is no header of weights"}).encode()
            write(model, folder, len(header).to_bytes(8, "little") + header)
        elif step == 500:
            write(model, folder, weights[:1000])
            time.sleep(half_seconds)
            shutil.rmtree(folder)
        elif step == 600:
            write(model, folder, weights, files="transformer/*")
        else:
            write(model, folder, weights, half_seconds=half_seconds if step == 400 else 0.0)
        print(f"{time.strftime('%H:%M:%S')} {folder.name}", flush=True)
        time.sleep(pause)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
