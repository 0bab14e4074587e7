"""Image files of many kinds, made in memory, for the tests of the codecs."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image as a file of this format."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = (7, 5)) -> Image.Image:
    """Noise; the same at each call."""
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], len(Image.new(mode, (1, 1)).getbands())))
    return Image.fromarray(values.astype(np.uint8).squeeze(), mode)


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks (name and content), with correct checksums."""
    body = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header announces an RGB image of this size, without pixels."""
    return png_of((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""))


def tiff_of(width: int, height: int, bits: int, content: bytes) -> bytes:
    """A little-endian grey TIFF of one strip."""
    fields = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(content)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    directory = struct.pack("<H", len(fields)) + entries + b"\0\0\0\0"
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory
