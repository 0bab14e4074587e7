"""Decodes image files and encodes PNGs: pure functions, safe in any number of threads.

The bytes of a benchmark or a client are not trusted: only six formats are opened, the size is checked before decoding,
and every failure is a ``ModelError`` with a kind. An edit is always encoded as PNG.

This code writes the PNG because Pillow takes far longer: one filter (``Up``) and zlib's run-length strategy took 21 ms
per megapixel of RISEBench images, Pillow at level 1 took 50, with files 4 % larger. zlib-ng makes the same bytes in 0.6
of zlib's time. Numpy and zlib-ng release the GIL, which not every version of Pillow does. Numpy is imported when it is
needed: the worker of a reward, which only decodes, starts in a fifth less time without it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from workers.interface import ModelError

try:
    from zlib_ng import zlib_ng as zlib
except ImportError:  # a reward's environment need not have it; zlib's bytes are the same
    import zlib  # type: ignore[no-redef]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")

MAX_PIXELS = 89_478_485
"""A quarter of a gigabyte as RGB. Above it, Pillow warns of decompression bombs."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that undoes each value of the EXIF orientation tag (JEITA CP-3451, 4.6.4 A)."""

_MESSAGE_LENGTH = 200
_TIFF_BITS_PER_SAMPLE = 258


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode the first frame of a PNG, JPEG, WEBP, BMP, GIF or TIFF file.

    The result is upright (the EXIF orientation is applied), has mode RGB or RGBA with 8 bits per channel, no metadata
    and no open file. It is RGBA only if the file has transparency. Pixels count as sRGB: a colour profile is dropped,
    not applied, since editors are compared by pixels. Grey of more than 8 bits is scaled to 8, never clipped (see
    ``_grey_8_bit``); of 16-bit colour Pillow keeps the upper byte. ``max_pixels`` is the largest width x height; Pillow
    itself refuses more than 178,956,970.

    Raises:
        ModelError: ``image_too_large``, or ``bad_image`` for any other reason why it cannot be decoded completely.
    """
    with opened_image(data, max_pixels=max_pixels) as image:
        image.load()
        upright = upright_transposition(image)
        pixels = _rgb_or_rgba(image)
        return pixels if upright is None else pixels.transpose(upright)


@contextmanager
def opened_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The first frame of an image file as Pillow opens it: of any mode, and not decoded yet.

    Raises:
        ModelError: as in ``decode_image``; also for what Pillow raises while the image is used.
    """
    try:
        with io.BytesIO(data) as file, Image.open(file, formats=FORMATS) as image:
            _check_size(image, max_pixels)
            yield image
    except ModelError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ModelError("image_too_large", f"the image is too large to decode: {_short(error)}") from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        content = f"{len(data)} bytes that begin with {data[:8].hex()}" if data else "no bytes at all"
        raise ModelError("bad_image", f"not a readable image ({known}): {content}") from error
    except Exception as error:  # Pillow's plugins may raise anything for a crafted file
        raise ModelError("bad_image", f"the image cannot be decoded: {_short(error)}") from error


def encode_png(image: Image.Image) -> bytes:
    """Encode an image as a PNG without metadata; equal pixels give equal bytes (with one version of zlib-ng).

    Raises:
        ModelError: from ``as_rgb_or_rgba``.
    """
    import numpy as np

    image = as_rgb_or_rgba(image)
    width, height = image.size
    channels = len(image.mode)
    rows = np.frombuffer(image.tobytes(), np.uint8).reshape(height, width * channels)
    colour_type = 2 if channels == 3 else 6
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    compressor = zlib.compressobj(level=1, memLevel=9, strategy=zlib.Z_RLE)
    compressed = compressor.compress(_filter_up(rows)) + compressor.flush()
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in ((b"IHDR", header), (b"IDAT", compressed), (b"IEND", b"")):
        checksum = zlib.crc32(content, zlib.crc32(kind))
        parts += (struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum))
    return b"".join(parts)


def as_rgb_or_rgba(image: Image.Image) -> Image.Image:
    """Return an RGB or RGBA image as it is, and convert any other mode as ``decode_image`` does.

    Raises:
        ModelError: ``bad_image``: there are no pixels, or its mode cannot be converted to RGB.
    """
    width, height = image.size
    if not width or not height:
        raise ModelError("bad_image", f"an image of {width}x{height} pixels cannot be encoded")
    if image.mode in {"RGB", "RGBA"}:
        return image
    try:
        return _rgb_or_rgba(image)
    except ValueError as error:
        message = f"an image of mode {image.mode} cannot be encoded: {_short(error)}"
        raise ModelError("bad_image", message) from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ModelError("image_too_large", f"{width}x{height} pixels: at most {max_pixels} are allowed")
    if not width or not height:
        raise ModelError("bad_image", f"the image has no pixels ({width}x{height})")


def upright_transposition(image: Image.Image) -> Image.Transpose | None:
    """What undoes the EXIF orientation; None if there is no readable one, as in every viewer."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - broken metadata may raise anything, and do no harm
        return None
    return _UPRIGHT.get(value) if isinstance(value, int) else None


def _rgb_or_rgba(image: Image.Image) -> Image.Image:
    """A new RGB or RGBA image of the same pixels, without metadata. ValueError if Pillow cannot do that (``LAB``)."""
    if image.mode == "F" or image.mode.startswith("I"):
        result = _grey_8_bit(image)
    else:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        result = image.copy() if image.mode == mode else image.convert(mode)
    result.info = {}
    return result


def _grey_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey to 8 bits.

    The range of ``I;16`` is 0 to 65535 (4095 in a 12-bit TIFF). ``I`` and ``F`` have no known range: it is 0 to the
    smallest of 1 (``F`` only), 255 and 65535 that includes all values, else the smallest to the largest value.
    """
    import numpy as np

    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise ValueError("a pixel is infinite or not a number")
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        is_12_bit = getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE) == (12,)
        low, high = 0.0, 4095.0 if is_12_bit else 65535.0
    else:
        scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        fitting = [scale for scale in scales if low >= 0 and high <= scale]
        if fitting:
            low, high = 0.0, fitting[0]
    span = (high - low) or 1.0
    scaled = np.rint((values.astype(np.float64) - low) * (255.0 / span))
    grey = Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    result = grey.convert("RGB")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        result.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return result


def _filter_up(rows: Any) -> Any:
    """PNG's filter 2: each byte minus the byte above. From (height, bytes per row) to (height, 1 + bytes per row)."""
    import numpy as np

    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _short(error: BaseException) -> str:
    """The error's message on one line, or its class if it has none."""
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:_MESSAGE_LENGTH]
