"""Images reach a judge as they are in their files wherever that shows the same."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageChops

from tests.harness import picture
from workers.interface import ModelError
from workers.models.rewards.openai_requests import file_to_send
from workers.models.rewards.openai_settings import JudgeSettings


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_of_the_right_format_is_sent_as_it_is(kind: str) -> None:
    file = encoded(picture((60, 40)), kind)
    settings = JudgeSettings(image_format=kind.lower(), max_image_side=60)  # type: ignore[arg-type] # one of the three
    assert file_to_send(file, settings) == (file, f"image/{kind.lower()}")


def turned() -> Image.Image:
    image = picture((60, 40))
    image.getexif()[ExifTags.Base.Orientation] = 6
    return image


@pytest.mark.parametrize(
    ("file", "size"),
    [
        (encoded(picture((60, 40), "RGBA")), (60, 40)),
        (encoded(picture((60, 40)).convert("P")), (60, 40)),
        (encoded(picture((60, 40)), "JPEG"), (60, 40)),
        (encoded(picture((60, 40)), icc_profile=b"a profile"), (60, 40)),
        (encoded(turned(), exif=turned().getexif()), (40, 60)),
        (encoded(picture((120, 40))), (64, 21)),
    ],
    ids=["transparent", "palette", "another format", "profile", "turned", "large"],
)
def test_any_other_file_is_encoded_anew(file: bytes, size: tuple[int, int]) -> None:
    sent, media_type = file_to_send(file, JudgeSettings(max_image_side=64))
    assert sent != file
    assert media_type == "image/png"
    with Image.open(io.BytesIO(sent)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", size)


def test_what_is_transparent_is_shown_on_white() -> None:
    sent, _ = file_to_send(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0))), JudgeSettings())
    with Image.open(io.BytesIO(sent)) as image:
        assert not ImageChops.difference(image, Image.new("RGB", (4, 4), "white")).getbbox()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_is_not_whole_is_not_sent(kind: str) -> None:
    file = encoded(picture((300, 200)), kind)
    with pytest.raises(ModelError) as raised:
        file_to_send(file[: len(file) * 2 // 3], JudgeSettings(image_format=kind.lower()))  # type: ignore[arg-type] # one of the three
    assert raised.value.kind == "bad_image"
