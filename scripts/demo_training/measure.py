"""``python -m scripts.demo_training.measure RUN...``: how near the edits of runs are to their targets, as a table.

A score is the judge's, nearness what it was to learn. At the end: how the two correlate over all edits.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import correlation, fmean

import numpy as np
from PIL import Image

from scheduler.report.compare.image_distance import distance_of
from scheduler.report.saved_run import open_run
from scripts.demo_training.examples import examples
from scripts.demo_training.nearness import nearness

_CELL = (128, 104)
_GAP = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo_training.measure", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run with its edits")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a PNG with some edits of each run, too")
    options = parser.parse_args(arguments)
    targets = {example.pair_id: example for example in examples()}
    shown: dict[str, list[Image.Image]] = {}
    judged: list[tuple[float, float]] = []
    print("| checkpoint | PSNR of the edits to their targets | nearness | the judge's score |\n|---|---|---|---|")
    for folder in options.runs:
        run = open_run(folder, None)
        ratios, near, scores = [], [], []
        for pair in run.report(intervals=False).pairs:
            if pair.score is None or pair.samples[0].image is None:
                continue
            target = targets[pair.pair_id]
            with Image.open(run.path / pair.samples[0].image) as opened:
                edit = opened.convert("RGB")
            shown.setdefault(pair.pair_id, []).append(edit)
            ratios.append(psnr(edit, target.target))
            near.append(nearness(edit, target.source.resize(edit.size), target.target))
            scores.append(pair.score)
        judged += zip(near, scores, strict=True)
        name = Path(str(run.manifest["editor"]["model_name"])).name
        print(f"| {name} | {fmean(ratios):.1f} dB | {fmean(near):.1f} | {fmean(scores):.1f} |")
    print(
        f"\nCorrelation of score and nearness over {len(judged)} edits: {correlation(*zip(*judged, strict=True)):.2f}"
    )
    if options.picture is not None:
        rows = [[targets[name].source, *edits, targets[name].target] for name, edits in shown.items()]
        _picture(rows[::2]).save(options.picture, optimize=True)
    return 0


def _picture(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """The images of each row side by side, in cells of one size."""
    sheet = Image.new("RGB", (_CELL[0] * max(map(len, rows)), _CELL[1] * len(rows)), "white")
    for down, row in enumerate(rows):
        for along, image in enumerate(row):
            small = image.convert("RGB")
            small.thumbnail((_CELL[0] - _GAP, _CELL[1] - _GAP))
            corner = (
                along * _CELL[0] + (_CELL[0] - small.width) // 2,
                down * _CELL[1] + (_CELL[1] - small.height) // 2,
            )
            sheet.paste(small, corner)
    return sheet.quantize(256)


def psnr(edit: Image.Image, target: Image.Image) -> float:
    """The peak signal-to-noise ratio of two images of one size, in dB."""
    ratio = distance_of(np.asarray(edit.convert("RGB")), np.asarray(target.convert("RGB"))).psnr
    return math.inf if ratio is None else ratio


if __name__ == "__main__":
    raise SystemExit(main())
