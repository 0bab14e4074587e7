"""Makes the thumbnails that a run's workers have not made: of sources whose edit failed, of further images of a pair,
and of edits that were made elsewhere or by an older version. The rules are those of ``workers/thumbnail_maker.py``.

A report is useful without them: what cannot be made is skipped, and the work stops after a time limit.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from msgspec import Struct
from PIL import Image, ImageOps

from protocol.codec import MAX_IMAGE_BYTES
from protocol.messages import MAX_THUMBNAIL_BYTES, THUMBNAIL_QUALITY, THUMBNAIL_SIDE
from scheduler.base.files import folder_of, read_file, write_atomically
from scheduler.base.text import one_line
from scheduler.benchmark.images import FORMATS, MAX_PIXELS
from scheduler.benchmark.pairs import SourceImage
from scheduler.report.model import Report
from scheduler.store.results import PairResult
from scheduler.store.run_directory import thumbnail_path
from workers.models.flatten import flatten

log = logging.getLogger("warmbench")

MAX_SECONDS = 30.0
_THREADS = 4
_BATCH = 32
_GAP = 2.0
_MAX_FURTHER = 32

ImageOf = Callable[[str, str], SourceImage | None]
"""An image of the benchmark, by the key of its pair and its name; None if it is not there."""


class _Missing(Struct, frozen=True):
    """A missing thumbnail, and the function that reads its picture."""

    path: str
    read: Callable[[], bytes]


def further_images(pair: PairResult) -> list[str]:
    """The names of a pair's images beside its first source, the first of them if there are impossibly many."""
    return list(pair.images or ())[:_MAX_FURTHER]


def fill_in(run: Path, report: Report, image_of: ImageOf, *, seconds: float = MAX_SECONDS) -> int:
    """Make a report's missing thumbnails from the edits on disk and the benchmark's images; return how many.

    Pairs that are not done yet get none. No thumbnail is started after ``seconds``.
    """
    end = time.monotonic() + seconds
    made = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="thumbnail") as pool:
        missing = _missing(run, report, image_of)
        while batch := list(islice(missing, _BATCH)):
            made += sum(pool.map(partial(_make, end=end), batch))
            if time.monotonic() > end:
                log.info("Thumbnails: stopped after %g s with %d made; the others are left out", seconds, made)
                break
    return made


def _missing(run: Path, report: Report, image_of: ImageOf) -> Iterator[_Missing]:
    for pair in report.pairs:
        names = (pair.category, pair.pair_id)
        try:
            has_results = pair.status != "missing" or any(sample.image is not None for sample in pair.samples)
            for name in ("source", *further_images(pair)) if has_results else ():
                image = image_of(f"{pair.category}/{pair.pair_id}", name)
                if image is not None and _lacks(path := thumbnail_path(run, *names, name)):
                    yield _Missing(path, image.read)
            for sample in pair.samples:
                if sample.image is not None and _lacks(path := thumbnail_path(run, *names, sample.sample)):
                    # An image elsewhere is recorded with its absolute path, which replaces the run's.
                    edit = os.path.join(run, sample.image)  # noqa: PTH118 - see scheduler/base/files.py
                    yield _Missing(path, partial(_read, edit))
        except ValueError as error:
            log.debug("%s: no thumbnail: %s", "/".join(names), error)


def _lacks(path: str) -> bool:
    """Whether the file is missing, or empty, as a power cut can leave it."""
    try:
        return os.stat(path).st_size == 0  # noqa: PTH116 - see scheduler/base/files.py
    except OSError:
        return True


def _read(image: str) -> bytes:
    """Read the edit's file. It may have been replaced by anything; a pipe would block for ever."""
    status = os.stat(image)  # noqa: PTH116 - see scheduler/base/files.py
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_IMAGE_BYTES:
        raise ValueError(f"{image} is no longer an image")
    return read_file(image)


def _make(missing: _Missing, *, end: float) -> bool:
    if time.monotonic() > end:
        return False
    try:
        content = small_jpeg(missing.read())
        os.makedirs(folder_of(missing.path), exist_ok=True)  # noqa: PTH103 - see scheduler/base/files.py
        write_atomically(missing.path, content, durable=False)
    except FileNotFoundError:
        return False
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise any exception, and disks may be full
        log.debug("%s cannot be made: %s", missing.path, one_line(error, 200))
        return False
    return True


def small_jpeg(data: bytes) -> bytes:
    """The first frame of an image file as a small JPEG: upright, never enlarged, with white for transparency.

    Raises:
        ValueError: the image or its thumbnail is too large.
        Exception: anything else that Pillow raises for a file that it cannot read.
    """
    with warnings.catch_warnings():
        # The limit on pixels is checked here, and warnings about broken metadata help nobody.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels: at most {MAX_PIXELS} are accepted")
            image.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
            image.load()
            picture = ImageOps.exif_transpose(_plain(image))
    stream = io.BytesIO()
    flatten(_reduced(picture)).save(stream, "JPEG", quality=THUMBNAIL_QUALITY)
    thumbnail = stream.getvalue()
    if len(thumbnail) > MAX_THUMBNAIL_BYTES:
        raise ValueError(f"its thumbnail has {len(thumbnail)} bytes; at most {MAX_THUMBNAIL_BYTES} are accepted")
    return thumbnail


def _plain(image: Image.Image) -> Image.Image:
    """RGB, or RGBa (premultiplied) where there is transparency. Grey of more than 8 bits is scaled, not clipped."""
    if image.mode == "F" or image.mode.startswith("I"):
        deep = image.convert("F")
        low, high = deep.getextrema()
        if not (isinstance(low, float) and isinstance(high, float)):
            raise TypeError("grey of several channels")
        if image.mode.startswith("I") and low >= 0 and high <= 65535:
            low, high = 0.0, 65535.0 if high > 255 or image.mode.startswith("I;16") else 255.0
        factor = 255.0 / ((high - low) or 1.0)
        return deep.point(lambda value: value * factor - low * factor).convert("L").convert("RGB")
    return image.convert("RGBA").convert("RGBa") if image.has_transparency_data else image.convert("RGB")


def _reduced(image: Image.Image) -> Image.Image:
    scale = THUMBNAIL_SIDE / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.HAMMING, reducing_gap=_GAP)
