"""Makes run directories with pictures for tests of the gallery: what a run leaves, without the run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image, ImageDraw

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.saved_run import read_run
from scheduler.report.writing import write_reports
from scheduler.store.rows import Row
from scheduler.store.run_directory import thumbnail_path
from tests.scheduler.rows import edited, failed, planned, scored, stage_end
from tests.scheduler.saved import saved_run

STAMP = "20251023_230000"
MANIFEST: dict[str, Any] = {
    "run": STAMP,
    "started": "2025-10-23T23:00:00+0000",
    "notes": ["The editor is simulated: it measures the scheduling, and its results carry no meaning."],
    "data": {"path": "data/benchmark.json", "sha256": "0" * 64},
    "editor": {"type": "qwen_image_edit", "model_name": "checkpoints/900", "parameters": {"seed": 1}},
    "reward": {"type": "qwen3_vl", "model_name": "judge", "parameters": {"score_range": [0, 10]}},
    "workers": [{"worker_id": "editor-0", "versions": {"torch": "2.13.0"}}],
}


def plain_rows(count: int, categories: Sequence[str] = ("physics", "社会")) -> list[Row]:
    """``count`` scored pairs ``p0``, ``p1``... in turn of the categories; pair n has the score n % 11."""
    rows: list[Row] = []
    for number in range(count):
        name, category = f"p{number}", categories[number % len(categories)]
        plan = msgspec.structs.replace(planned(name, category), instruction=f"do thing {number}", description="a thing")
        edit = msgspec.structs.replace(
            edited(name, category), image=f"images/{category}/{name}.png", finished=101.0 + (number * 7 % 13) / 10
        )
        rows += [plan, edit, scored(name, float(number % 11), category, response=f"reply {number}")]
    return rows


def mixed_rows() -> list[Row]:
    """Seven pairs: four scored, one that failed to load, one whose edit failed, one not done."""
    rows = plain_rows(4)
    rows += [planned("torn", "physics", loaded=False), failed("torn", "physics", stage="load", kind="bad_image")]
    rows += [planned("heavy", "社会"), failed("heavy", "社会", message="CUDA out of memory")]
    rows += [planned("waiting", "社会")]
    rows += [stage_end("edit", wall=10.0, device=15.0, workers=2, rounds=4)]
    return rows


def run_with_pictures(
    output_dir: Path,
    rows: Sequence[Row],
    *,
    stamp: str = STAMP,
    manifest: dict[str, Any] | None = None,
    kept: bool = True,
    drawn: int = 40,
) -> Path:
    """A run's directory with thumbnails of the first ``drawn`` pairs, their edits in full size if ``kept``, and its
    reports; returns the page.
    """
    path = saved_run(output_dir, rows, stamp=stamp, manifest=MANIFEST | (manifest or {}) | {"run": stamp})
    run = read_run(path, output_dir)
    for pair in run.report().pairs[:drawn]:
        if pair.source_sha256 is None:
            continue
        _save(picture(pair.pair_id), thumbnail_path(path, pair.category, pair.pair_id, None))
        for sample in pair.samples:
            edit = picture(f"{pair.pair_id} {sample.sample}", edited=True)
            _save(edit, thumbnail_path(path, pair.category, pair.pair_id, sample.sample))
            if kept and sample.image is not None:
                _save(edit.resize((128, 96)), f"{path}/{sample.image}")
    return write_page(path, output_dir)


def write_page(path: Path, output_dir: Path) -> Path:
    """The page of the run in this directory, written as its reports are."""
    run = read_run(path, output_dir)
    written = write_reports(run.report(), output_dir, path, DEFAULT_METRICS)
    return next(file for file in written if file.suffix == ".html")


def picture(name: str, *, edited: bool = False) -> Image.Image:
    """64 x 48 pixels that differ from name to name: a ground and a disc, red in an edit."""
    draw = random.Random(name)  # noqa: S311 - a picture
    image = Image.new("RGB", (64, 48), (draw.randrange(120, 250), draw.randrange(120, 250), draw.randrange(120, 250)))
    x, y = draw.randrange(14, 50), draw.randrange(14, 34)
    ImageDraw.Draw(image).ellipse((x - 12, y - 12, x + 12, y + 12), (200, 30, 30) if edited else (40, 60, 160))
    return image


def without_nulls(value: Any) -> Any:
    """A report's JSON as its page embeds it."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _save(image: Image.Image, path: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target)
