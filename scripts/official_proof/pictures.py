"""Small random images, as files of different kinds."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

Mode = Literal["RGB", "RGBA", "L", "P"]
MODES: tuple[Mode, ...] = ("RGB", "RGBA", "L", "P")


def picture(seed: object, mode: Mode = "RGB", *, size: tuple[int, int] | None = None) -> Image.Image:
    """Draw a few rectangles over a gradient, in a size that the seed decides if it is not given."""
    chance = random.Random(repr(seed))  # noqa: S311 - a drawing
    width, height = size or (chance.randint(40, 120), chance.randint(40, 120))
    gradient = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", [gradient.rotate(chance.choice((0, 90, 180))).resize((width, height)) for _ in range(3)])
    for _ in range(6):
        left, top = chance.randrange(width), chance.randrange(height)
        box = (left, top, min(width, left + chance.randint(4, 60)), min(height, top + chance.randint(4, 60)))
        image.paste(tuple(chance.randrange(256) for _ in range(3)), box)
    if mode == "RGBA":
        image.putalpha(gradient)
    return image if mode in ("RGB", "RGBA") else image.convert(mode)


def png(image: Image.Image) -> bytes:
    """Encode it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class File(NamedTuple):
    """A kind of image file. ``orientation`` is that of its EXIF, which most of the authors' scripts ignore."""

    extension: str
    mode: Mode = "RGB"
    size: tuple[int, int] | None = None
    orientation: int | None = None


FILES = (
    File("png"),
    File("jpg", size=(1700, 420)),  # so large that the decoder of a JPEG can make it smaller by itself
    File("png", "RGBA", (800, 333)),
    File("png", "P", (90, 801)),
    File("png", "L"),
    File("jpeg", "L", (769, 40)),
    File("jpg", size=(60, 90), orientation=6),
    File("png", size=(768, 100)),
)


EDITS = (*(File("png", mode) for mode in MODES), File("png", orientation=6), File("png", size=(300, 500)))
"""Kinds of edits where the authors' script wants a PNG."""


def save_file(path: Path, file: File, seed: object) -> Path:
    """Save a random image of this kind, and return its path: with the extension."""
    path = path.with_name(f"{path.name}.{file.extension}")
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if file.orientation is not None:
        exif[0x0112] = file.orientation
    picture(seed, file.mode, size=file.size).save(path, exif=exif)
    return path
