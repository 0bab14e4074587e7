"""The pairs of a disturbed run: small, every image different from all others, names of many scripts, some pairs bad."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

CATEGORIES = ("物理", "spatial", "emoji 🦆", "l'été", "causal reasoning")
IDS = ("{n}", "图{n}", "🧪{n}", "pair {n}", "Ünï-{n}", "{n}.png")

BAD_KINDS = ("no_instruction", "bad_base64", "bad_image", "broken_pixels")


@dataclass(frozen=True)
class Item:
    """A pair of the data. ``bad`` names what is wrong with it; ``image`` is the source as it is encoded."""

    category: str
    pair_id: str
    image: bytes
    instruction: str
    bad: str | None = None

    @property
    def key(self) -> str:
        """As the product writes it."""
        return f"{self.category}/{self.pair_id}"


def draw_items(dice: random.Random, count: int, label: str) -> tuple[Item, ...]:
    """Draw ``count`` pairs in two or three categories."""
    categories = dice.sample(CATEGORIES, dice.choice((2, 3)))
    bad = set(dice.sample(range(count), dice.choice((0, 0, 1, 2)))) if count > 4 else set()
    return tuple(
        Item(
            category=categories[number * len(categories) // count],
            pair_id=dice.choice(IDS).format(n=number),
            image=_image(dice, number, label),
            instruction=f"change it, 第{number}次 {label} ✂",
            bad=dice.choice(BAD_KINDS) if number in bad else None,
        )
        for number in range(count)
    )


def write_items(path: Path, items: Sequence[Item]) -> Path:
    """Write them as a benchmark."""
    categories: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        categories.setdefault(item.category, []).append(_as_json(item))
    path.write_text(json.dumps(categories, ensure_ascii=False), encoding="utf-8")
    return path


def inverted(source: bytes) -> Image.Image:
    """What the simulated editor makes of this source."""
    with Image.open(io.BytesIO(source)) as opened:
        image = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    bands = image.split()
    colours = [band.point(lambda value: 255 - value) for band in bands[:3]]
    return Image.merge(image.mode, (*colours, *bands[3:]))


def _as_json(item: Item) -> dict[str, Any]:
    image = item.image
    if item.bad == "bad_image":
        image = b"hello"
    elif item.bad == "broken_pixels":
        image = _broken_png(inverted(image).size)
    found: dict[str, Any] = {
        "pair_id": item.pair_id,
        "original_image_b64": "%%%%" if item.bad == "bad_base64" else base64.b64encode(image).decode(),
        "original_description": f"picture {item.pair_id}",
    }
    if item.bad != "no_instruction":
        found["edit_instruction"] = item.instruction
    return found


def _image(dice: random.Random, number: int, label: str) -> bytes:
    size = (dice.randint(8, 40), dice.randint(8, 40))
    mode = dice.choice(("RGB", "RGB", "RGBA"))
    image = Image.frombytes(mode, size, dice.randbytes(size[0] * size[1] * len(mode)))
    image.putpixel((0, 0), (number, ord(label), 7, 9)[: len(mode)])
    if mode == "RGB" and dice.random() < 0.3:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        return buffer.getvalue()
    return _png(image)


def _broken_png(size: tuple[int, int]) -> bytes:
    """A PNG whose checksums are right and whose pixels are none: it is only found out when it is decoded."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", b"no pixels at all"), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
