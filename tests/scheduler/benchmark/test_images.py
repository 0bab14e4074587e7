from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scheduler.benchmark.images import FORMATS, MAX_PIXELS, as_png, inspect_image
from scheduler.benchmark.pairs import PairError
from tests.scheduler.benchmark.make import image_bytes


def huge_png(width: int, height: int) -> bytes:
    """The header of a PNG of this size, and nothing of its pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def kind_of(data: bytes, *, thorough: bool = False) -> str:
    with pytest.raises(PairError) as caught:
        inspect_image(data, thorough=thorough)
    return caught.value.kind


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("image_format", FORMATS)
def test_each_accepted_format_gives_its_size(image_format: str, thorough: bool) -> None:
    assert inspect_image(image_bytes((30, 20), image_format), thorough=thorough) == (30, 20)


@pytest.mark.parametrize("image_format", ["PPM", "ICO", "TGA", "PCX", "PDF"])
def test_other_formats_are_refused_by_the_names_of_the_accepted_ones(image_format: str) -> None:
    with pytest.raises(PairError, match="PNG, JPEG, WEBP, BMP, GIF, TIFF") as caught:
        inspect_image(image_bytes((16, 16), image_format))
    assert caught.value.kind == "bad_image"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_the_size_is_that_of_the_upright_image(image_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert inspect_image(image_bytes((30, 20), image_format, exif=exif)) == (20, 30)


def test_broken_metadata_spoil_no_image() -> None:
    assert inspect_image(image_bytes((30, 20), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")) == (30, 20)


def test_more_than_one_frame_is_accepted() -> None:
    file = io.BytesIO()
    frames = [Image.new("P", (9, 9), colour) for colour in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert inspect_image(file.getvalue(), thorough=True) == (9, 9)


@pytest.mark.parametrize("size", [(MAX_PIXELS + 1, 1), (9460, 9460), (20_000, 20_000), (2**31 - 1, 2**31 - 1)], ids=str)
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int]) -> None:
    assert kind_of(huge_png(*size)) == "image_too_large"


def test_the_limit_itself_is_accepted() -> None:
    assert inspect_image(huge_png(MAX_PIXELS, 1)) == (MAX_PIXELS, 1)


def test_the_limit_counts_even_where_pillow_has_been_told_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert kind_of(huge_png(20_000, 20_000)) == "image_too_large"


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert kind_of(data) == "bad_image"


def test_a_cut_png_is_found_without_decoding() -> None:
    assert kind_of(image_bytes((64, 64))[:-20]) == "bad_image"


def test_a_png_with_a_flipped_bit_is_found_without_decoding() -> None:
    data = bytearray(image_bytes((64, 64)))
    data[len(data) // 2] ^= 4
    assert kind_of(bytes(data)) == "bad_image"


def test_a_cut_jpeg_is_found_by_the_thorough_look_alone() -> None:
    data = image_bytes((64, 64), "JPEG")
    cut = data[: data.index(b"\xff\xda") + 14]
    assert inspect_image(cut) == (64, 64)
    assert kind_of(cut, thorough=True) == "bad_image"


@given(
    image_format=st.sampled_from(FORMATS),
    place=st.integers(0, 2000),
    byte=st.integers(0, 255),
    cut=st.integers(1, 2000),
    thorough=st.booleans(),
)
def test_whatever_is_wrong_with_an_image_comes_out_as_a_pair_error(
    image_format: str, place: int, byte: int, cut: int, thorough: bool
) -> None:
    data = bytearray(image_bytes((12, 12), image_format))
    data[place % len(data)] = byte
    try:
        width, height = inspect_image(bytes(data[:cut]), thorough=thorough)
        outcome = "sound" if 1 <= width * height <= MAX_PIXELS else "beyond the limits"
    except PairError as error:
        outcome = error.kind
    assert outcome in {"sound", "bad_image", "image_too_large"}


@pytest.mark.parametrize("image_format", [name for name in FORMATS if name != "PNG"])
def test_an_image_becomes_a_png_with_the_same_pixels_upright(image_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, Any] = {"exif": exif} if image_format in ("JPEG", "WEBP") else {}
    data = image_bytes((30, 20), image_format, **options)
    with Image.open(io.BytesIO(data)) as original, Image.open(io.BytesIO(as_png(data))) as png:
        upright = original.transpose(Image.Transpose.ROTATE_270) if options else original
        assert (png.format, png.size) == ("PNG", upright.size)
        assert png.convert("RGB").tobytes() == upright.convert("RGB").tobytes()
        assert not png.getexif()


def test_a_png_stays_as_it_is_and_what_cannot_be_decoded_is_refused() -> None:
    png = image_bytes((30, 20), "PNG")
    assert as_png(png) is png
    with pytest.raises(PairError, match="broken"):
        as_png(image_bytes((200, 200), "JPEG")[:-200])
