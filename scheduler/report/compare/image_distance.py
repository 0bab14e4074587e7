"""How far two images of one size are from each other."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

_WHITE = 255.0
_SIGMA = 1.5
_RADIUS = 5
"""The window of SSIM is a Gaussian of 11 x 11 pixels."""
_STEADY = ((0.01 * _WHITE) ** 2, (0.03 * _WHITE) ** 2)
_STRIP = 256
"""Rows at a time: an image may have 89 million pixels."""


class Distance(Struct, frozen=True):
    """Between two images: the mean and the largest difference of a channel, from 0 to 255; the peak signal-to-noise
    ratio in dB, None if all pixels are equal; the structural similarity, at most 1, None if a side is under 11 pixels.
    """

    mean: float
    largest: int
    psnr: float | None
    ssim: float | None


EQUAL = Distance(0.0, 0, None, 1.0)


def distance_of(first: np.ndarray, other: np.ndarray) -> Distance:
    """Return the distance of two images of one size: (height, width, channels), 8 bits a channel."""
    difference = np.abs(first.astype(np.int16) - other.astype(np.int16))
    if not difference.any():
        return EQUAL
    squares = float(np.mean(np.square(difference, dtype=np.int32)))
    psnr = 10 * math.log10(_WHITE**2 / squares)
    return Distance(float(difference.mean()), int(difference.max()), psnr, structural_similarity(first, other))


def structural_similarity(first: np.ndarray, other: np.ndarray) -> float | None:
    """Return the mean SSIM of the channels, None without a whole window.

    As Wang et al. define it ("Image quality assessment", IEEE Transactions on Image Processing 13, 2004): K1 = 0.01,
    K2 = 0.03, a Gaussian window with a deviation of 1.5 pixels, which is whole everywhere.
    """
    height, width, _ = first.shape
    if min(height, width) <= 2 * _RADIUS:
        return None
    maps = [_map(*strips) for strips in _strips(first, other)]
    return float(sum(part.sum() for part in maps) / sum(part.size for part in maps))


def _strips(first: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows of each strip, and those that the windows reach beyond it."""
    for top in range(0, len(first) - 2 * _RADIUS, _STRIP):
        rows = slice(top, top + _STRIP + 2 * _RADIUS)
        yield first[rows].astype(np.float64), other[rows].astype(np.float64)


def _map(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """SSIM at each pixel that has a whole window."""
    mean, mean_other = _blurred(first), _blurred(other)
    product, squares = mean * mean_other, mean**2 + mean_other**2
    covariance = _blurred(first * other) - product
    variances = _blurred(first**2 + other**2) - squares
    brightness = (2 * product + _STEADY[0]) / (squares + _STEADY[0])
    similarity: np.ndarray = brightness * (2 * covariance + _STEADY[1]) / (variances + _STEADY[1])
    return similarity


def _blurred(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    whole: np.ndarray = gaussian_filter(image, _SIGMA, radius=_RADIUS, axes=(0, 1))
    return whole[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
