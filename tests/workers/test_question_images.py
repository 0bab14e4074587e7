"""The images of a question have the bytes that the official scripts send, made here by the scripts' calls of Pillow."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageOps

from protocol.messages import ImagePart, ImageStep, Question, TextPart
from tests.workers.image_files import file_of, picture, png_header
from workers import question_images
from workers.interface import ModelError, QuestionImage
from workers.question_images import RecentImages, images_to_show, media_type_of

_SIDEWAYS = 6
"""The EXIF orientation of a picture that was taken with the camera on its side."""


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def palette_file(**options: Any) -> bytes:
    return file_of(picture("RGB", (30, 20)).quantize(16), **options)


MADE: dict[str, Callable[[], bytes]] = {
    "png": lambda: file_of(picture("RGB", (850, 450))),
    "transparent": lambda: file_of(picture("RGBA", (450, 850))),
    "grey": lambda: file_of(picture("L", (1000, 10))),
    "palette": palette_file,
    "transparent palette": lambda: palette_file(transparency=3),
    "palette with alphas": lambda: palette_file(transparency=bytes(range(0, 256, 16))),
    "jpeg": lambda: file_of(picture("RGB", (1000, 801)), "JPEG", comment=b"made by hand"),
    "grey jpeg": lambda: file_of(picture("L", (800, 801)), "JPEG"),
    "cmyk jpeg": lambda: file_of(picture("CMYK", (800, 400)), "JPEG"),
    "sideways": lambda: file_of(picture("RGB", (90, 40)), "JPEG", exif=exif_of(_SIDEWAYS)),
    "small": lambda: file_of(picture("RGB", (7, 5)), "WEBP", lossless=True),
    "gif": lambda: palette_file(kind="GIF", comment=b"a comment"),
}


@functools.cache
def file_named(name: str) -> bytes:
    """Made when a test asks for it: collecting the tests is to be quick."""
    return MADE[name]()


def saved(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **{"format": "JPEG", **options})
    return stream.getvalue()


def opened(name: str) -> Image.Image:
    return Image.open(io.BytesIO(file_named(name)))


def shown(name: str, step: ImageStep, source: str = "small") -> QuestionImage:
    question = Question(name="q", parts=[TextPart(text="?"), ImagePart(image="edit", step=step)])
    (image,) = images_to_show(question, {"edit": file_named(name), "source": file_named(source)})
    return image


def as_risebench(image: Image.Image) -> bytes:
    if image.mode in ("RGBA", "P"):
        image = image.convert("RGB")
    image.thumbnail((768, 768))
    return saved(image)


def as_gedit(image: Image.Image) -> bytes:
    image = image.convert("RGB").resize(opened("png").size)
    return saved(ImageOps.exif_transpose(image).convert("RGB"))


def as_gedit_source(image: Image.Image) -> bytes:
    return saved(ImageOps.exif_transpose(image).convert("RGB"))


def as_unicbench(image: Image.Image) -> bytes:
    return saved(image.convert("RGB"))


def as_kris_temporal(image: Image.Image) -> bytes:
    return saved(image.convert("RGB"), quality=85)


STEPS: dict[Callable[[Image.Image], bytes], ImageStep] = {
    as_risebench: ImageStep(longest_side=768, encoding="jpeg"),
    as_gedit: ImageStep(rgb=True, size_of="source", upright=True, encoding="jpeg"),
    as_gedit_source: ImageStep(rgb=True, upright=True, encoding="jpeg"),
    as_unicbench: ImageStep(rgb=True, encoding="jpeg"),
    as_kris_temporal: ImageStep(rgb=True, encoding="jpeg", quality=85),
}


@pytest.mark.parametrize("script", STEPS)
@pytest.mark.parametrize("name", MADE)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
def test_the_bytes_are_those_of_the_official_script(name: str, script: Callable[[Image.Image], bytes]) -> None:
    image = shown(name, STEPS[script], source="png")
    assert image.media_type == "image/jpeg"
    assert image.data == script(opened(name))


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("png", "image/png"), ("jpeg", "image/jpeg"), ("small", "image/webp"), ("gif", "image/gif")],
)
def test_original_bytes_are_untouched_and_say_what_they_are(name: str, media_type: str) -> None:
    assert shown(name, ImageStep()) == QuestionImage(file_named(name), media_type)


def test_a_server_can_be_told_another_media_type() -> None:
    assert shown("png", ImageStep(media_type="image/jpeg")) == QuestionImage(file_named("png"), "image/jpeg")


def test_original_bytes_are_not_decoded() -> None:
    no_pixels = png_header(50_000, 50_000)
    question = Question(name="q", parts=[ImagePart(image="edit")])
    assert images_to_show(question, {"edit": no_pixels}) == (QuestionImage(no_pixels, "image/png"),)


@pytest.mark.parametrize("change", [{"rgb": True}, {"size_of": "source"}, {"longest_side": 5}, {"upright": True}])
def test_original_bytes_exclude_the_other_steps(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="image 'edit' of the question: its original bytes are to be shown"):
        shown("png", ImageStep(**change))


def test_only_with_upright_is_the_size_of_another_image_an_upright_one() -> None:
    def size(step: ImageStep) -> tuple[int, int]:
        return Image.open(io.BytesIO(shown("png", step, source="sideways").data)).size

    assert size(ImageStep(size_of="source", encoding="jpeg")) == (90, 40)
    assert size(ImageStep(size_of="source", upright=True, encoding="jpeg")) == (40, 90)


def test_as_png_an_image_keeps_its_mode() -> None:
    image = shown("transparent", ImageStep(encoding="png"))
    assert image == QuestionImage(saved(opened("transparent"), format="PNG"), "image/png")
    assert shown("cmyk jpeg", ImageStep(encoding="png")).media_type == "image/png"


def test_grey_of_16_bits_is_scaled_and_not_clipped_to_white() -> None:
    dark = Image.new("I;16", (8, 8), 0x2000)
    question = Question(name="q", parts=[ImagePart(image="edit", step=ImageStep(rgb=True, encoding="png"))])
    (image,) = images_to_show(question, {"edit": file_of(dark)})
    assert Image.open(io.BytesIO(image.data)).getpixel((0, 0)) == (32, 32, 32)


def test_images_that_several_questions_show_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    original = question_images._encode

    def counted(data: bytes, step: ImageStep, size: tuple[int, int] | None) -> bytes:
        decoded.append(data)
        return original(data, step, size)

    monkeypatch.setattr(question_images, "_encode", counted)
    step = ImageStep(rgb=True, size_of="source", encoding="jpeg", quality=74)
    twice = Question(name="q", parts=[ImagePart(image="edit", step=step), ImagePart(image="edit", step=step)])
    again = Question(name="r", parts=[ImagePart(image="edit", step=step), ImagePart(image="source")])
    images = {"edit": file_named("png"), "source": file_named("small")}
    first, second = images_to_show(twice, images)
    third, source = images_to_show(again, images)
    assert first == second == third
    assert (source.data, decoded) == (file_named("small"), [file_named("png")])
    other_size = images_to_show(again, {**images, "source": file_named("palette")})[0]
    other_image = images_to_show(again, {**images, "edit": file_named("jpeg")})[0]
    assert len({first.data, other_size.data, other_image.data}) == 3


def test_the_images_that_were_not_shown_for_longest_are_dropped_first() -> None:
    step = ImageStep(encoding="jpeg")
    expected = {name: shown(name, step).data for name in ("small", "palette", "gif", "jpeg")}
    recent = RecentImages(most_bytes=len(expected["small"]) + len(expected["gif"]))
    for name in ("small", "palette", "small", "gif"):
        assert recent.encoded(file_named(name), step, None) == expected[name]
    assert list(recent._kept.values()) == [expected["small"], expected["gif"]]
    assert recent.encoded(file_named("jpeg"), step, None) == expected["jpeg"], "too large to be kept"
    assert (recent._bytes, list(recent._kept)) == (0, [])


def test_a_broken_image_is_named_with_its_kind() -> None:
    step = ImageStep(size_of="source", encoding="jpeg")
    question = Question(name="q", parts=[ImagePart(image="edit", step=step)])

    def failure(edit: bytes, source: bytes) -> tuple[str, str]:
        with pytest.raises(ModelError) as raised:
            images_to_show(question, {"edit": edit, "source": source})
        return raised.value.kind, str(raised.value).partition(":")[0]

    good, truncated, large = file_named("png"), file_named("jpeg")[:2000], png_header(50_000, 50_000)
    assert failure(truncated, good) == ("bad_image", "image 'edit' of the question")
    assert failure(good, b"GIF") == ("bad_image", "image 'source' of the question")
    assert failure(large, good) == ("image_too_large", "image 'edit' of the question")
    assert failure(good, large) == ("image_too_large", "image 'source' of the question")


def test_bytes_that_are_no_image_have_no_media_type() -> None:
    with pytest.raises(ModelError, match="14 bytes that begin with '3c21646f63747970'"):
        media_type_of(b"<!doctype html")
    assert media_type_of(file_of(picture(), "TIFF")) == "image/tiff"
    assert media_type_of(file_of(picture(), "BMP")) == "image/bmp"
