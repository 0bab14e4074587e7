"""What the models learn: each scene of the demo benchmark, with the picture that its instruction asks for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from PIL import Image

from scripts.make_demo_data import SCENES

STEP = 64
"""The sides of an edit are multiples of this: the VAE reduces by 32, and the transformer takes patches of 2x2."""


@dataclass(frozen=True)
class Example:
    """A pair and its target: the edit as it should be, in the size in which the pipeline makes it (RGB)."""

    pair_id: str
    instruction: str
    source: Image.Image
    target: Image.Image


def examples(count: int | None = None) -> tuple[Example, ...]:
    """The first ``count`` scenes, or all, in the benchmark's order."""
    scenes = islice((scene for of_category in SCENES.values() for scene in of_category), count)
    return tuple(
        Example(scene.pair_id, scene.instruction, source, resized(scene.draw(edited=True).opaque(), source.size))
        for scene, source in ((scene, scene.draw().opaque()) for scene in scenes)
    )


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image in the size that an edit of a source of ``size`` (width, height) has with ``output_size: source``."""
    width, height = (max(STEP, side // STEP * STEP) for side in size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def as_tensor(image: Image.Image) -> Any:
    """The image as the VAE takes it: ``(1, 3, 1, height, width)``, float32 from -1 to 1."""
    import numpy as np
    import torch

    pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 127.5 - 1
    return torch.from_numpy(pixels).permute(2, 0, 1)[None, :, None]
