"""Makes the thumbnails of a source and its edit that a report shows, while the worker has their pixels.

No score depends on a thumbnail, and one that cannot be made fails nothing. The scheduler makes missing ones by the same
rules (``scheduler/report/thumbnails.py``).
"""

from __future__ import annotations

import io
import logging

from PIL import Image

from protocol.messages import MAX_THUMBNAIL_BYTES, THUMBNAIL_QUALITY, THUMBNAIL_SIDE
from workers.models.flatten import flatten

log = logging.getLogger("warmbench.worker")

_GAP = 2.0
"""Pillow first averages blocks of pixels down to this many times the final size, then resamples: 7 ms instead of 27 for
4096x3072, without a visible difference.
"""


def make_thumbnail(image: Image.Image) -> bytes | None:
    """Return the image as a JPEG of at most ``THUMBNAIL_SIDE`` pixels per side, never enlarged, white where it is
    transparent; None, with a line in the log, if that fails. ``image`` has mode RGB or RGBA, and is not changed.
    """
    try:
        stream = io.BytesIO()
        flatten(_reduced(image)).save(stream, "JPEG", quality=THUMBNAIL_QUALITY)
    except Exception as error:  # noqa: BLE001 - no error here is worth losing an edit
        log.warning("no thumbnail was made of an image of %dx%d: %s", *image.size, error)
        return None
    thumbnail = stream.getvalue()
    return thumbnail if len(thumbnail) <= MAX_THUMBNAIL_BYTES else None


def _reduced(image: Image.Image) -> Image.Image:
    scale = THUMBNAIL_SIDE / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    # Premultiplied: colours of transparent pixels must not bleed into others.
    alpha = image.mode == "RGBA"
    pixels = image.convert("RGBa") if alpha else image
    small = pixels.resize((width, height), Image.Resampling.HAMMING, reducing_gap=_GAP)
    return small.convert("RGBA") if alpha else small
