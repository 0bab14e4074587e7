"""The source images of an edit in the form that a pipeline takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from workers.models.editors.pipeline_facts import FITTED_SOURCES, SIZE_STEP, WITH_ALPHA
from workers.models.flatten import flatten


def prepared_sources(name: str, pipeline: Any, sources: Sequence[Image.Image]) -> list[Image.Image]:
    """The source images for a pipeline of the class ``name``.

    They are RGB on white, but for a class that sees transparency. A class that works on the same grid in its
    processor and in its VAE gets them in a size that both keep.
    """
    images = [image if name in WITH_ALPHA else flatten(image) for image in sources]
    if name not in FITTED_SOURCES:
        return images
    limits = pipeline.processor.image_processor.size
    low, high = (math.isqrt(limits[edge]) for edge in ("shortest_edge", "longest_edge"))
    return [_resized(image, fitting_size(image.size, SIZE_STEP[name], low, high)) for image in images]


def fitting_size(size: tuple[int, int], step: int, low: int, high: int) -> tuple[int, int]:
    """The size nearest to ``size`` of about its ratio, with sides from ``low`` to ``high`` in multiples of ``step``."""
    scale = max(1.0, low / min(size))
    scale = min(scale, high / max(size))
    least, most = -(-low // step) * step, high // step * step
    width, height = (min(max(round(side * scale / step) * step, least), most) for side in size)
    return width, height


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
