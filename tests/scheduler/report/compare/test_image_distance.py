"""PSNR and SSIM, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter


def noise(seed: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    pixels: np.ndarray = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return pixels


def ssim_by_windows(first: np.ndarray, other: np.ndarray) -> float:
    """Every window of 11 x 11 pixels by itself, as the paper has it (equations 13 to 16)."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2

    def weighted(windows: np.ndarray) -> np.ndarray:
        result: np.ndarray = (windows * weights).sum(axis=(-1, -2))
        return result

    windows = [
        np.lib.stride_tricks.sliding_window_view(image.astype(float), (11, 11), axis=(0, 1)) for image in (first, other)
    ]
    mean, mean_other = map(weighted, windows)
    apart = [each - of[..., None, None] for each, of in zip(windows, (mean, mean_other), strict=True)]
    variance, variance_other = weighted(apart[0] ** 2), weighted(apart[1] ** 2)
    covariance = weighted(apart[0] * apart[1])
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean * mean_other + c1) * (2 * covariance + c2)
    below = (mean**2 + mean_other**2 + c1) * (variance + variance_other + c2)
    return float((top / below).mean())


def test_the_distance_is_that_of_its_definition() -> None:
    from scheduler.report.compare.image_distance import distance_of

    first, other = noise(1), noise(2)
    difference = first.astype(float) - other.astype(float)
    distance = distance_of(first, other)
    assert distance.mean == pytest.approx(np.abs(difference).mean())
    assert distance.largest == np.abs(difference).max()
    assert distance.psnr == pytest.approx(20 * np.log10(255 / np.sqrt((difference**2).mean())))
    assert distance_of(first, first) == distance_of(other, other)
    assert distance_of(first, first).psnr is None
    assert distance_of(first, first).ssim == 1.0


@pytest.mark.parametrize("size", [(48, 64), (11, 11), (290, 13)])
def test_structural_similarity_is_that_of_each_window(size: tuple[int, int]) -> None:
    from scheduler.report.compare.image_distance import structural_similarity

    first = noise(1, size)
    near = np.clip(first.astype(int) + noise(2, size) // 8, 0, 255).astype(np.uint8)
    assert structural_similarity(first, near) == pytest.approx(ssim_by_windows(first, near), abs=1e-9)


def plain(brightness: int) -> np.ndarray:
    image: np.ndarray = np.zeros((16, 16, 3), dtype=np.uint8) + brightness
    return image


def test_structural_similarity_of_plain_images_is_that_of_their_brightness() -> None:
    from scheduler.report.compare.image_distance import structural_similarity

    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert structural_similarity(plain(100), plain(150)) == pytest.approx(expected)


def test_structural_similarity_is_symmetric_and_falls_with_each_blur() -> None:
    from scheduler.report.compare.image_distance import structural_similarity

    sharp = noise(3)
    blurred = [np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(radius))) for radius in (0.5, 1, 2, 4)]
    falling = [structural_similarity(sharp, image) for image in blurred]
    assert all(figure is not None and -1 <= figure < 1 for figure in falling)
    assert falling == sorted(falling, key=lambda figure: -(figure or 0))
    assert structural_similarity(blurred[0], sharp) == pytest.approx(falling[0])
    inverse = structural_similarity(sharp, 255 - sharp)
    assert inverse is not None
    assert inverse < 0


def test_an_image_without_a_whole_window_has_no_structural_similarity() -> None:
    from scheduler.report.compare.image_distance import distance_of

    small = distance_of(noise(1, (10, 64)), noise(2, (10, 64)))
    assert small.ssim is None
    assert small.psnr is not None
