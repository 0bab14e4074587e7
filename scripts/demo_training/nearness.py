"""How near an edit is to its target: what the judge learns to tell."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.float32]

_FAR = 0.35
_VISIBLE = 16 / 255
BEST = 10


def nearness(edit: Image.Image, source: Image.Image, target: Image.Image) -> float:
    """From 0 to 10: 10 is the target itself, 0 an error of 35% of the range of colours (that of noise), or more.

    The error is the root mean square over all pixels. Those that the instruction changes weigh as much as all others
    together, so leaving the source as it is is no good edit, however small the change. The images have one size.
    """
    return nearness_of(_pixels(edit), _pixels(source), _pixels(target))


def nearness_of(edit: Pixels, source: Pixels, target: Pixels) -> float:
    """``nearness`` of arrays of ``(height, width, 3)`` floats from 0 to 1."""
    errors = np.square(edit - target).mean(axis=2)
    changed = np.abs(source - target).max(axis=2) > _VISIBLE
    error = (errors[changed].mean() + errors[~changed].mean()) / 2
    return float(BEST * max(0.0, 1 - error**0.5 / _FAR))


def _pixels(image: Image.Image) -> Pixels:
    pixels: Pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    return pixels
