"""How far the edits of two runs are from each other, pixel by pixel: what an option that is to be exact has changed."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from scheduler.benchmark.images import FORMATS, inspect_image
from scheduler.report.compare.comparison_report import EditDistance, PixelComparison
from scheduler.report.compare.image_distance import EQUAL, distance_of
from scheduler.report.model import Report
from scheduler.store.results import PairResult

_OPAQUE = 255


def compare_pixels(first: Report, other: Report, folders: tuple[Path, Path]) -> PixelComparison:
    """Compare each edit with the other run's edit of the same sample, source and instruction.

    ``folders`` are those of the runs.
    """
    edits: list[EditDistance] = []
    other_size = without_image = 0
    for pair, sample, hashes, paths in _edits(first, other, folders):
        if hashes[0] == hashes[1]:
            distance = EQUAL
        else:
            try:
                images = [_pixels(path) for path in paths]
            except Exception:  # noqa: BLE001 - it is gone or damaged, for which Pillow's readers raise anything
                without_image += 1
                continue
            if images[0].shape != images[1].shape:
                other_size += 1
                continue
            distance = distance_of(*_visible(*images))
        figures = (distance.mean, distance.largest, distance.psnr, distance.ssim)
        edits.append(EditDistance(pair.category, pair.pair_id, sample, *figures))
    noisy = [math.inf if edit.psnr is None else edit.psnr for edit in edits]
    similar = [edit.ssim for edit in edits if edit.ssim is not None]
    return PixelComparison(
        num_edits=len(edits),
        num_equal=sum(edit.largest_difference == 0 for edit in edits),
        num_other_size=other_size,
        num_without_image=without_image,
        psnr_median=_finite(statistics.median(noisy)) if noisy else None,
        psnr_min=_finite(min(noisy)) if noisy else None,
        ssim_median=statistics.median(similar) if similar else None,
        ssim_min=min(similar, default=None),
        mean_difference=statistics.fmean(edit.mean_difference for edit in edits) if edits else None,
        largest_difference=max((edit.largest_difference for edit in edits), default=None),
        edits=tuple(edits),
    )


def _edits(
    first: Report, other: Report, folders: tuple[Path, Path]
) -> Iterator[tuple[PairResult, int, tuple[str, str], tuple[Path, Path]]]:
    """The edits that both runs have: pair, sample, hashes and files."""
    of_other = {(pair.category, pair.pair_id): pair for pair in other.pairs}
    for pair in first.pairs:
        match = of_other.get((pair.category, pair.pair_id))
        if match is None or (pair.source_sha256, pair.instruction) != (match.source_sha256, match.instruction):
            continue
        samples = {sample.sample: sample for sample in match.samples}
        for sample in pair.samples:
            with_it = samples.get(sample.sample)
            if with_it is None or not (sample.image and sample.sha256 and with_it.image and with_it.sha256):
                continue
            paths = (folders[0] / sample.image, folders[1] / with_it.image)
            yield pair, sample.sample, (sample.sha256, with_it.sha256), paths


def _pixels(path: Path) -> np.ndarray:
    """The image as RGBA, since an edit may be transparent."""
    data = path.read_bytes()
    inspect_image(data)
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        pixels: np.ndarray = np.asarray(image.convert("RGBA"))
        return pixels


def _visible(first: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images without their alpha, if both are opaque: it would count as a channel without a difference."""
    if (first[..., 3] == _OPAQUE).all() and (other[..., 3] == _OPAQUE).all():
        return first[..., :3], other[..., :3]
    return first, other


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
