"""Small images and benchmark files for these tests."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image


def image_bytes(size: tuple[int, int] = (8, 6), image_format: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """An image of one colour, encoded."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, image_format, **options)
    return file.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def pair(pair_id: object = "p1", **changes: object) -> dict[str, object]:
    """A good pair in the JSON format; a field that is changed to ``...`` is left out."""
    fields: dict[str, object] = {
        "pair_id": pair_id,
        "original_image_b64": base64_of(image_bytes()),
        "original_description": "a black rectangle",
        "edit_instruction": "make it white",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def write_json(folder: Path, content: object, name: str = "pairs.json") -> Path:
    path = folder / name
    # Halves of surrogate pairs become escapes, which are JSON's as well.
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8", errors="backslashreplace")
    return path


def write_bytes(folder: Path, content: bytes, name: str = "pairs.json") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
