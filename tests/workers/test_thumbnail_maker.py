"""The thumbnails of an edit and its source."""

from __future__ import annotations

import hashlib
import io
import logging

import numpy as np
import pytest
from PIL import Image

from protocol.messages import MAX_THUMBNAIL_BYTES, THUMBNAIL_SIDE, Edit
from tests.workers.image_files import file_of, picture
from workers.codecs import decode_image
from workers.payloads import encode_edit
from workers.thumbnail_maker import make_thumbnail


def opened(thumbnail: bytes | None) -> Image.Image:
    assert thumbnail is not None
    image = Image.open(io.BytesIO(thumbnail))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1024, 1024), (384, 384)),
        ((1000, 500), (384, 192)),
        ((500, 1000), (192, 384)),
        ((384, 10), (384, 10)),
        ((7, 5), (7, 5)),
        ((1, 1), (1, 1)),
        ((20_000, 3), (384, 1)),
    ],
)
def test_the_longer_side_is_384_pixels_and_smaller_images_keep_their_size(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    assert opened(make_thumbnail(Image.new("RGB", size))).size == small


def test_transparent_pixels_become_white_whatever_their_colour() -> None:
    image = Image.new("RGBA", (1000, 800), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 500, 800))
    small = opened(make_thumbnail(image))
    assert np.abs(np.asarray(small)[:, :180] - np.array([254, 0, 0])).max() <= 3
    assert np.asarray(small)[:, 200:].min() >= 240, "no black at the edge"
    assert image.getpixel((999, 0)) == (0, 0, 0, 0), "the image itself is unchanged"


def test_the_largest_thumbnail_is_far_below_the_limit() -> None:
    thumbnail = make_thumbnail(picture("RGB", (THUMBNAIL_SIDE, THUMBNAIL_SIDE)))
    assert thumbnail is not None
    assert len(thumbnail) < MAX_THUMBNAIL_BYTES / 2


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK", "I;16", "RGBA", "F"])
def test_an_edit_of_any_mode_comes_with_its_thumbnail_and_that_of_its_source(mode: str) -> None:
    source = decode_image(file_of(picture("RGB", (900, 300))))
    gradient = Image.linear_gradient("L").resize((800, 600))
    edit = Image.fromarray(np.asarray(gradient, np.uint16) * 257) if mode == "I;16" else gradient.convert(mode)

    message = Edit(run="r", incarnation="i", epoch=1, job="j", key="k", round=0, instruction="", seed=1, parameters={})
    reply = encode_edit(message, edit, 1.0, 2.0, make_thumbnail(source))

    png, *thumbnails = map(bytes, reply.images)
    edited = reply.message
    assert edited.image_frames == len(reply.images)
    assert getattr(edited, "thumbnails", None) == ["edit", "source"]
    assert getattr(edited, "sha256", None) == hashlib.sha256(png).hexdigest()
    assert [opened(jpeg).size for jpeg in thumbnails] == [(384, 288), (384, 128)]
    assert source.size == (900, 300)
    expected = Image.open(io.BytesIO(png)).convert("RGB").resize((384, 288), Image.Resampling.BOX)
    assert np.abs(np.asarray(opened(thumbnails[0]), float) - np.asarray(expected)).mean() < 8


def test_the_sources_thumbnail_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = decode_image(file_of(picture("RGB", (900, 300)), "JPEG", exif=exif))
    assert opened(make_thumbnail(source)).size == (128, 384)


def test_a_thumbnail_that_cannot_be_made_is_logged_and_the_edit_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "warmbench.worker"):
        assert make_thumbnail(Image.new("RGB", (0, 0))) is None
    assert "no thumbnail was made of an image of 0x0" in caplog.text
