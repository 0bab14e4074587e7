"""What models see of an image that has transparency."""

from __future__ import annotations

import pytest
from PIL import Image

from workers.models.flatten import flatten


def test_transparent_pixels_become_white_and_half_transparent_ones_half_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 0), (255, 0, 0, 255), (0, 0, 0, 51)])
    flat = flatten(image)
    assert flat.mode == "RGB"
    assert [flat.getpixel((x, 0)) for x in range(3)] == [(255, 255, 255), (255, 0, 0), (204, 204, 204)]


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA", "P"])
def test_transparency_is_found_in_every_mode_that_has_it(mode: str) -> None:
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 0)).convert(mode)
    if mode == "P":
        image.info["transparency"] = image.getpixel((0, 0))
    assert flatten(image).getpixel((1, 1)) == (255, 255, 255)


def test_an_opaque_rgb_image_is_given_back_as_it_is() -> None:
    image = Image.new("RGB", (2, 2), "teal")
    assert flatten(image) is image


def test_a_grey_image_becomes_rgb() -> None:
    assert flatten(Image.new("L", (1, 1), 7)).getpixel((0, 0)) == (7, 7, 7)
