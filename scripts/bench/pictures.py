"""Benchmarks to measure with: pairs with generated PNGs that are as hard to encode as photos."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workers.codecs import encode_png

_DISTINCT = 16
"""Enough that no processor cache holds them; more would only take longer to make."""

_GRAIN = 3.0
"""Standard deviation of the noise, in 8-bit steps. With it, a PNG is about half as large as its pixels."""


@dataclass(frozen=True)
class PictureBenchmark:
    """A benchmark file and its content: from pair key (``category/pair_id``) to the bytes of the PNG."""

    path: Path
    pairs: Mapping[str, bytes]


def write_benchmark(path: Path, *, categories: int, pairs: int, size: int) -> PictureBenchmark:
    """Write a benchmark with ``pairs`` pairs in each category; images are square, ``size`` pixels wide."""
    images = [encode_png(picture(number, size)) for number in range(min(_DISTINCT, categories * pairs))]
    return write_pairs(path, [pairs] * categories, images)


def write_pairs(path: Path, counts: Sequence[int], images: Sequence[bytes]) -> PictureBenchmark:
    """Write a benchmark whose categories have ``counts`` pairs; they use the encoded images in turns."""
    texts = [base64.b64encode(image).decode("ascii") for image in images]
    by_key: dict[str, bytes] = {}
    # Piece by piece: the file may be too large for memory.
    with path.open("w", encoding="utf-8") as file:
        for category, count in enumerate(counts):
            file.write(f'{"," if category else "{"} "category-{category}": [')
            for place in range(count):
                number = len(by_key)
                by_key[f"category-{category}/{place:04}"] = images[number % len(images)]
                pair = {
                    "pair_id": f"{place:04}",
                    "original_image_b64": texts[number % len(images)],
                    "original_description": "shapes and light",
                    "edit_instruction": f"invert the colours ({number})",
                }
                file.write(("," if place else "") + json.dumps(pair))
            file.write("]")
        file.write("}")
    return PictureBenchmark(path, by_key)


def read_benchmark(path: Path) -> PictureBenchmark:
    """Read a file of ``write_benchmark`` or ``write_pairs``."""
    content: dict[str, list[dict[str, str]]] = json.loads(path.read_text(encoding="utf-8"))
    by_key = {
        f"{category}/{pair['pair_id']}": base64.b64decode(pair["original_image_b64"])
        for category, pairs in content.items()
        for pair in pairs
    }
    return PictureBenchmark(path, by_key)


def picture(number: int, width: int, height: int | None = None) -> Image.Image:
    """Soft colours with film grain; the same number gives the same picture. Without a height it is square."""
    generator: Any = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height or width), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = generator.normal(0, _GRAIN, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
