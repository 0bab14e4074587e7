"""The benchmark that is measured with: pairs with generated PNGs that are as hard to encode as photos."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workers.codecs import encode_png

_DISTINCT = 16
"""Enough that no cache of a processor keeps one; more would only take longer to make."""

_GRAIN = 3.0
"""Standard deviation of the noise, in steps of 8 bits; with it a PNG is about half as large as its pixels."""


@dataclass(frozen=True)
class PictureBenchmark:
    """A benchmark file, and what is in it: pair key (``category/pair_id``) to the bytes of its PNG."""

    path: Path
    pairs: Mapping[str, bytes]


def write_benchmark(path: Path, *, categories: int, pairs: int, size: int) -> PictureBenchmark:
    """Write a benchmark of so many categories with so many pairs each; images are square, ``size`` pixels wide."""
    images = [encode_png(picture(number, size)) for number in range(min(_DISTINCT, categories * pairs))]
    texts = [base64.b64encode(image).decode("ascii") for image in images]
    content: dict[str, list[dict[str, str]]] = {}
    by_key: dict[str, bytes] = {}
    for number in range(categories * pairs):
        category, pair_id = f"category-{number // pairs}", f"{number % pairs:04}"
        by_key[f"{category}/{pair_id}"] = images[number % len(images)]
        content.setdefault(category, []).append(
            {
                "pair_id": pair_id,
                "original_image_b64": texts[number % len(images)],
                "original_description": "shapes and light",
                "edit_instruction": f"invert the colours ({number})",
            }
        )
    path.write_text(json.dumps(content), encoding="utf-8")
    return PictureBenchmark(path, by_key)


def picture(number: int, size: int) -> Image.Image:
    """Soft light of many colours with film grain; the same number gives the same picture."""
    generator: Any = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = generator.normal(0, _GRAIN, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
