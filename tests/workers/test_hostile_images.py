"""Whatever a hostile or damaged file holds, decoding it raises nothing but a ``ModelError``."""

from __future__ import annotations

import warnings
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.workers.image_files import file_of, picture, png_header, png_of
from workers.codecs import FORMATS, decode_image
from workers.interface import ModelError

FUZZ = settings(max_examples=150)


def kind_of_failure(data: bytes, **options: int) -> str:
    with pytest.raises(ModelError) as caught:
        decode_image(data, **options)
    assert 0 < len(str(caught.value)) < 400
    return caught.value.kind


# -- size ------------------------------------------------------------------------------------------------------------


def test_a_bomb_is_refused_by_its_header() -> None:
    assert kind_of_failure(png_header(50_000, 50_000)) == "image_too_large"


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_the_default_limit_holds_however_warnings_are_handled(action: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        assert kind_of_failure(png_header(9_000, 10_000)) == "image_too_large"


def test_a_lower_limit_counts_pixels_to_the_last_one() -> None:
    data = file_of(picture(size=(7, 5)))
    assert decode_image(data, max_pixels=35).size == (7, 5)
    assert kind_of_failure(data, max_pixels=34) == "image_too_large"


def test_the_message_names_the_actual_size() -> None:
    with pytest.raises(ModelError, match="7x5 pixels: at most 34"):
        decode_image(file_of(picture(size=(7, 5))), max_pixels=34)


# -- what is no image ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\0", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"%PDF-1.7"])
def test_bytes_that_are_no_image_are_a_bad_image(data: bytes) -> None:
    assert kind_of_failure(data) == "bad_image"


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "EPS"])
def test_other_formats_are_not_opened(kind: str) -> None:
    data = file_of(picture(size=(16, 16)), kind)
    with pytest.raises(ModelError, match="PNG, JPEG, WEBP, BMP, GIF, TIFF") as caught:
        decode_image(data)
    assert caught.value.kind == "bad_image"


@pytest.mark.parametrize("kind", FORMATS)
def test_half_an_image_is_a_bad_image(kind: str) -> None:
    data = file_of(picture(size=(64, 64)), kind)
    assert kind_of_failure(data[: len(data) // 2]) == "bad_image"


def decodes_or_says_why(data: bytes) -> Image.Image | None:
    try:
        decoded = decode_image(data, max_pixels=1_000_000)
    except ModelError:
        return None
    assert decoded.mode in {"RGB", "RGBA"}
    assert len(decoded.tobytes()) == decoded.width * decoded.height * len(decoded.mode)
    return decoded


def test_a_png_cut_anywhere_is_whole_or_refused() -> None:
    image = picture()
    data = file_of(image)
    for length in range(len(data)):
        decoded = decodes_or_says_why(data[:length])
        assert decoded is None or decoded.tobytes() == image.tobytes()


# -- fuzz ------------------------------------------------------------------------------------------------------------

MAGIC = (b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8 ", b"BM", b"GIF89a", b"II*\0")
SAMPLES = [
    file_of(picture(mode), kind, **options)
    for mode, kind, options in (
        ("RGB", "PNG", {}),
        ("L", "PNG", {"transparency": 3}),
        ("P", "GIF", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("CMYK", "JPEG", {}),
        ("RGBA", "WEBP", {}),
        ("RGB", "BMP", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("L", "TIFF", {}),
    )
]


@FUZZ
@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_a_model_error(magic: bytes, rest: bytes) -> None:
    decodes_or_says_why(magic + rest)


@settings(FUZZ, max_examples=600)
@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    head_only=st.booleans(),
)
def test_damaged_files_raise_nothing_but_a_model_error(
    sample: bytes, changes: list[tuple[int, int]], head_only: bool
) -> None:
    data = bytearray(sample)
    for position, value in changes:
        data[position % (min(len(data), 60) if head_only else len(data))] = value
    decodes_or_says_why(bytes(data))


@FUZZ
@given(header=st.binary(min_size=13, max_size=13), palette=st.binary(max_size=20), content=st.binary(max_size=60))
def test_png_headers_with_correct_checksums_raise_nothing_but_a_model_error(
    header: bytes, palette: bytes, content: bytes
) -> None:
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"tRNS", palette), (b"IDAT", zlib.compress(content)))
    decodes_or_says_why(png_of(*chunks, (b"IEND", b"")))
