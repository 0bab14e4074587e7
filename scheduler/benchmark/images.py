"""Inspects an encoded image by its header; decodes it only for a thorough check.

The limit on pixels is Pillow's first one, 2^30 / 4 / 3 = 89 478 485 (some 9400 x 9400). Pillow only warns above it, and
raises above twice as many: by then a file of 500 KB can have taken 670 MB.
"""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from scheduler.base.text import counted, one_line
from scheduler.benchmark.pairs import PairError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""The accepted formats; Pillow has some forty more, many hardly maintained. Of an animation the first frame counts."""

MAX_PIXELS = 89_478_485

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_ORIENTATION = 0x0112
_TURNED_SIDEWAYS = frozenset({5, 6, 7, 8})


def inspect_image(data: bytes, *, thorough: bool = False) -> tuple[int, int]:
    """Return the image's ``(width, height)`` in pixels, upright (after its EXIF orientation); raises ``PairError``.

    The header is parsed and, for a PNG, every chunk's checksum is compared; ``thorough`` also decodes every pixel.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            size = _inspect_header(data)
            if thorough:
                with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                    image.load()
        except PairError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise PairError("image_too_large", f"the image has more than {MAX_PIXELS} pixels: {error}") from error
        except MemoryError as error:
            raise PairError("image_too_large", "there is not enough memory to decode the image") from error
        except UnidentifiedImageError as error:
            raise PairError("bad_image", f"{_describe(data)} is no image of a known kind ({_names()})") from error
        except Exception as error:  # Pillow's readers raise anything, SyntaxError included
            raise PairError(
                "bad_image", f"the image is broken: {type(error).__name__}: {one_line(error, 200)}"
            ) from error
    return size


def as_png(data: bytes) -> bytes:
    """Return the image as a PNG with the same pixels, upright; unchanged if it is one. Raises ``PairError``."""
    if data.startswith(_PNG):
        return data
    inspect_image(data, thorough=True)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        warnings.simplefilter("ignore")  # about what it holds beside pixels
        upright = ImageOps.exif_transpose(image)
        upright = upright if upright.mode in _PNG_MODES else upright.convert("RGB")
        upright.info.pop("exif", None)
        upright.save(buffer, "PNG")
    return buffer.getvalue()


def _inspect_header(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise PairError("bad_image", f"the image is empty: {width} x {height} pixels")
        if width * height > MAX_PIXELS:
            raise PairError(
                "image_too_large", f"the image has {width} x {height} pixels; at most {MAX_PIXELS} are accepted"
            )
        sideways = _is_sideways(image)
        image.verify()
    return (height, width) if sideways else (width, height)


def _is_sideways(image: Image.Image) -> bool:
    if image.format == "TIFF":  # Pillow returns the turned size
        return False
    try:
        # The base class's method: that of a PNG decodes the whole image first.
        return Image.Image.getexif(image).get(_ORIENTATION) in _TURNED_SIDEWAYS
    except Exception:  # noqa: BLE001 - broken metadata, on which Pillow raises anything, spoil no pixel
        return False


def _describe(data: bytes) -> str:
    return f"{counted(len(data), 'byte')} that begin with {data[:12]!r}" if data else "an empty file"


def _names() -> str:
    return ", ".join(FORMATS)
