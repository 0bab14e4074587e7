"""The small pictures that a report shows of a source and its edit, made here because the pixels are decoded here.

They are for the eye alone: nothing is judged or compared by them, and one that can't be made costs nobody anything. The
scheduler makes what is missing (``scheduler/report/thumbnails.py``) after the same rules.
"""

from __future__ import annotations

import io
import logging

from PIL import Image

from protocol.messages import MAX_THUMBNAIL_BYTES, THUMBNAIL_QUALITY, THUMBNAIL_SIDE
from workers.models.images import flatten

log = logging.getLogger("warmbench.worker")

_GAP = 2.0
"""Pillow first averages whole blocks of pixels as long as the picture stays this much larger than is wanted, then
resamples: 7 ms instead of 27 for 4096x3072, and no difference for the eye.
"""


def make_thumbnail(image: Image.Image) -> bytes | None:
    """The image as a small JPEG: at most ``THUMBNAIL_SIDE`` pixels wide and high, never enlarged, and white where it
    is transparent. None, and a line in the log, if there is none to be had.

    ``image`` has mode RGB or RGBA, and is left as it is.
    """
    try:
        stream = io.BytesIO()
        flatten(_reduced(image)).save(stream, "JPEG", quality=THUMBNAIL_QUALITY)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not worth an edit
        log.warning("no thumbnail was made of an image of %dx%d: %s", *image.size, error)
        return None
    thumbnail = stream.getvalue()
    return thumbnail if len(thumbnail) <= MAX_THUMBNAIL_BYTES else None


def _reduced(image: Image.Image) -> Image.Image:
    scale = THUMBNAIL_SIDE / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    # Premultiplied, as colours under what is transparent must not bleed into what is not.
    alpha = image.mode == "RGBA"
    pixels = image.convert("RGBa") if alpha else image
    small = pixels.resize((width, height), Image.Resampling.HAMMING, reducing_gap=_GAP)
    return small.convert("RGBA") if alpha else small
