"""Runs of the checkpoints of one training, as their directories would have them: to measure and look at their page.

The drawings are the demo's. An edit turns the drawing's colours, and clears with the steps of its checkpoint. Scores
rise with the steps; the checkpoint before the last is worse again, and has a failure.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from scheduler.report.thumbnails import small_jpeg
from scheduler.store.rows import EditedRow, FailedRow, PlannedRow, Row, ScoredRow, StageRow, encode_row
from scheduler.store.run_directory import thumbnail_path
from scripts.make_demo_data import SCENES
from workers.codecs import encode_png

_SCENES = [scene for scenes in SCENES.values() for scene in scenes]
_CATEGORIES = tuple(SCENES)
_EVERY_STEPS = 500
_RANGE = (0.0, 10.0)


@dataclass(frozen=True)
class _Run:
    """The run of one checkpoint: ``number`` of ``count``."""

    number: int
    count: int

    @property
    def stamp(self) -> str:
        return f"20260101_{self.number:06}"

    @property
    def steps(self) -> int:
        return (self.number + 1) * _EVERY_STEPS

    @property
    def progress(self) -> float:
        """From 0, nothing is learned, to 1."""
        learned = 1 - math.pow(0.8, (self.number + 1) * 12 / self.count)
        return learned - (0.15 if self.count > 2 and self.number == self.count - 2 else 0)


def write_runs(output: Path, *, runs: int, pairs: int) -> list[Path]:
    """Make this number of runs with this number of pairs each, all with thumbnails; return their directories."""
    originals = output / "drawings"
    originals.mkdir(parents=True)
    made = [_Run(number, runs) for number in range(runs)]
    drawings = [scene.draw().opaque() for scene in _SCENES[:pairs]]
    for place, drawing in enumerate(drawings):
        _write(originals / f"source-{place}", drawing)
        for run in made:
            _write(originals / f"{run.number}-{place}", _edit(drawing, run.progress, seed=place))
    return [_write_run(output / "runs", originals, run, pairs) for run in made]


def _write_run(folder: Path, originals: Path, run: _Run, pairs: int) -> Path:
    path = folder / run.stamp
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps(_manifest(run)), encoding="utf-8")
    rows = _rows(run, pairs)
    with (path / "results.jsonl").open("wb") as ledger:
        while batch := list(itertools.islice(rows, 1000)):
            ledger.write(b"".join(map(encode_row, batch)))
    for number in range(pairs):
        for of, name in ((None, "source"), (0, str(run.number))):
            target = Path(thumbnail_path(path, *_key(number), of))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(originals / f"{name}-{number % len(_SCENES)}", target)
    return path


def _manifest(run: _Run) -> dict[str, Any]:
    return {
        "run": run.stamp,
        "started": f"2026-01-01T00:{run.number:02}:00+0000",
        "data": {"path": "data/demo.json", "sha256": _sha256("data")},
        "editor": {"type": "qwen_image_edit", "model_name": f"trainings/lora-r16/checkpoint-{run.steps}"},
        "reward": {
            "type": "qwen3_vl",
            "model_name": "Qwen/Qwen3-VL-8B-Instruct",
            "parameters": {"score_range": _RANGE},
        },
    }


def _key(number: int) -> tuple[str, str]:
    scene = number % len(_SCENES)
    return _CATEGORIES[scene // 3], f"{_SCENES[scene].pair_id}_{number:05}"


def _rows(run: _Run, pairs: int) -> Iterator[Row]:
    draw = random.Random(run.number)  # noqa: S311 - scores
    for number in range(pairs):
        category, pair_id = _key(number)
        scene = _SCENES[number % len(_SCENES)]
        names: dict[str, Any] = {"category": category, "pair_id": pair_id}
        yield PlannedRow(
            **names,
            source_sha256=_sha256(f"source {number}"),
            instruction=scene.instruction,
            description=scene.description,
        )
        done: dict[str, Any] = {**names, "sample": 0, "attempt": 1, "identity": _sha256(f"{run.steps} {number}")}
        if number == 3 and run.number == run.count - 2:
            yield FailedRow(
                **names,
                sample=0,
                pass_=None,
                identity=None,
                stage="edit",
                kind="oom",
                message="CUDA out of memory. Tried to allocate 2.25 GiB.",
            )
            continue
        yield EditedRow(
            **done,
            worker=f"editor-{number % 6}",
            device=f"cuda:{number % 6}",
            round=number // 6,
            started=0.0,
            finished=1.5 + number * 7 % 13 / 10,
            image=f"images/{category}/{pair_id}.png",
            sha256=_sha256(f"edit {run.steps} {number}"),
            size=(360, 240),
            seed=0,
        )
        difficulty = number * 37 % 101 / 40 - 1.2
        score = round(min(10.0, max(0.0, 1 + 7.5 * run.progress - difficulty + draw.gauss(0, 0.9))), 1)
        yield ScoredRow(
            **done,
            pass_=0,
            worker="reward-0",
            device="cuda:6",
            batch=number // 4,
            started=0.0,
            finished=2.0,
            score=score,
            aspects=None,
            response=f'The edit follows the instruction in part.\n{{"score": {score}}}',
            method="json",
        )
    for stage in ("edit", "score"):
        yield StageRow(
            stage=stage,
            wall_seconds=pairs * 0.4 + run.number,
            device_seconds=pairs * 2.1,
            workers=6,
            rounds=pairs // 6,
            barrier_wait_seconds=3.0,
            model_switches=1,
            model_switch_seconds=11.0,
            finished=1000.0,
        )


def _edit(drawing: Image.Image, progress: float, *, seed: int) -> Image.Image:
    """The drawing with its colours turned, under noise where there is no progress yet."""
    hue, saturation, value = drawing.convert("RGB").convert("HSV").split()
    turned = Image.merge("HSV", (hue.point(lambda part: (part + 110) % 256), saturation, value)).convert("RGB")
    noise = Image.frombytes("RGB", (48, 32), random.Random(seed).randbytes(48 * 32 * 3))  # noqa: S311 - a picture
    return Image.blend(noise.resize(turned.size), turned, min(1.0, 0.1 + 0.9 * max(0.0, progress)))


def _write(path: Path, image: Image.Image) -> None:
    path.write_bytes(small_jpeg(encode_png(image)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
