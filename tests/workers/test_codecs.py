"""Image files are decoded to RGB or RGBA, and encoded: every mode, every orientation, and PNGs with the same pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from tests.workers.image_files import file_of, picture, tiff_of
from workers.codecs import decode_image, encode_png
from workers.interface import ModelError

# -- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_rgb_and_rgba_come_out_as_they_are(mode: str, kind: str, options: dict[str, Any]) -> None:
    image = picture(mode)
    decoded = decode_image(file_of(image, kind, **options))
    assert (decoded.mode, decoded.size) == (mode, image.size)
    assert decoded.tobytes() == image.tobytes()


def test_grey_becomes_three_equal_channels() -> None:
    image = picture("L")
    decoded = decode_image(file_of(image))
    assert decoded.mode == "RGB"
    assert [band.tobytes() for band in decoded.split()] == [image.tobytes()] * 3


def test_black_and_white_becomes_0_and_255() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert decode_image(file_of(image)).tobytes() == b"\0\0\0\xff\xff\xff"


def test_grey_with_alpha_keeps_its_alpha() -> None:
    image = picture("LA")
    decoded = decode_image(file_of(image))
    grey, alpha = image.split()
    assert decoded.mode == "RGBA"
    assert [band.tobytes() for band in decoded.split()] == [grey.tobytes()] * 3 + [alpha.tobytes()]


def palette_image(pixels: list[int]) -> Image.Image:
    image = Image.new("P", (len(pixels), 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata(pixels)
    return image


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_a_palette_without_transparency_becomes_rgb(kind: str) -> None:
    decoded = decode_image(file_of(palette_image([2, 0, 1]), kind))
    assert (decoded.mode, decoded.tobytes()) == ("RGB", bytes([70, 80, 90, 10, 20, 30, 40, 50, 60]))


@pytest.mark.parametrize(("kind", "transparency"), [("PNG", 1), ("GIF", 1), ("PNG", b"\xff\x00")])
def test_a_palette_with_transparency_becomes_rgba(kind: str, transparency: int | bytes) -> None:
    decoded = decode_image(file_of(palette_image([2, 0, 1]), kind, transparency=transparency))
    assert decoded.mode == "RGBA"
    assert decoded.getchannel("A").tobytes() == b"\xff\xff\x00"
    assert decoded.convert("RGB").tobytes()[:6] == bytes([70, 80, 90, 10, 20, 30])


def test_a_palette_with_an_alpha_channel_becomes_rgba() -> None:
    image = palette_image([2, 0, 1]).convert("PA")
    image.putalpha(77)
    decoded = decode_image(file_of(image, "TIFF"))
    assert decoded.mode == "RGBA"
    assert set(decoded.getchannel("A").tobytes()) == {77}


def test_one_transparent_colour_of_an_rgb_png_becomes_alpha() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    assert decode_image(file_of(image, transparency=(9, 9, 9))).getchannel("A").tobytes() == b"\xff\x00"


def test_cmyk_is_converted_as_pillow_does() -> None:
    image = picture("CMYK")
    decoded = decode_image(file_of(image, "TIFF"))
    assert decoded.tobytes() == image.convert("RGB").tobytes()


def test_a_cmyk_jpeg_of_white_is_white() -> None:
    decoded = decode_image(file_of(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG"))
    assert (decoded.mode, decoded.getpixel((3, 3))) == ("RGB", (255, 255, 255))


def test_ycbcr_becomes_rgb() -> None:
    image = Image.new("YCbCr", (16, 16), (76, 85, 255))
    red, green, blue = decode_image(file_of(image, "TIFF")).getpixel((3, 3))  # type: ignore[misc] # a tuple, for RGB
    assert red > 250
    assert max(green, blue) < 5


def test_every_value_of_16_bit_grey_is_rounded_to_8_bits_not_clipped() -> None:
    values: Any = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected: Any = ((values.astype(np.int64) * 255 * 2 + 65535) // (2 * 65535)).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        decoded = decode_image(file_of(Image.fromarray(values), kind))
        assert decoded.mode == "RGB"
        assert np.array_equal(np.asarray(decoded)[..., 1], expected), kind


def test_a_dark_16_bit_image_stays_dark() -> None:
    decoded = decode_image(file_of(Image.fromarray(np.full((2, 2), 257 * 3, np.uint16))))
    assert decoded.getpixel((0, 0)) == (3, 3, 3)


def test_the_transparent_value_of_16_bit_grey_becomes_alpha() -> None:
    values = np.array([[65535, 1000, 999]], np.uint16)
    decoded = decode_image(file_of(Image.fromarray(values), transparency=1000))
    assert decoded.mode == "RGBA"
    assert decoded.getchannel("A").tobytes() == b"\xff\x00\xff"


def test_a_12_bit_tiff_uses_its_own_full_scale() -> None:
    decoded = decode_image(tiff_of(2, 1, 12, bytes([0xFF, 0xF8, 0x00])))
    assert decoded.tobytes() == bytes([255, 255, 255, 128, 128, 128])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.4, 255.0], [0, 100, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([1e30, 2e30, 3e30], [0, 128, 255]),
        ([-7.0, -7.0, -7.0], [0, 0, 0]),
    ],
)
def test_float_grey_is_scaled_by_the_range_that_holds_it(values: list[float], expected: list[int]) -> None:
    decoded = decode_image(file_of(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert list(decoded.getchannel("G").tobytes()) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 255], [0, 1, 255]),
        ([0, 257, 65535], [0, 1, 255]),
        ([-(2**31), 0, 2**31 - 1], [0, 128, 255]),
    ],
)
def test_32_bit_grey_is_scaled_by_the_range_that_holds_it(values: list[int], expected: list[int]) -> None:
    decoded = decode_image(file_of(Image.fromarray(np.array([values], np.int32)), "TIFF"))
    assert list(decoded.getchannel("B").tobytes()) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float_image_that_is_not_finite_is_a_bad_image(value: float) -> None:
    with pytest.raises(ModelError) as caught:
        decode_image(file_of(Image.fromarray(np.array([[0.5, value]], np.float32)), "TIFF"))
    assert caught.value.kind == "bad_image"


def test_only_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime")]
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = file_of(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decode_image(data).convert("RGB").getpixel((1, 1)) == (255, 0, 0), kind


# -- orientation and metadata ----------------------------------------------------------------------------------------

STORED = np.array([[1, 2, 3], [4, 5, 6]], np.uint8) * 40
UPRIGHT: dict[int, Callable[[Any], Any]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[:, ::-1],
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: a.T[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_the_orientation_tag_is_applied(orientation: int, kind: str, options: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(STORED).convert("RGB")
    decoded = decode_image(file_of(image, kind, exif=exif, **options))
    assert np.array_equal(np.asarray(decoded)[..., 0], UPRIGHT[orientation](STORED))


def test_a_jpeg_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (32, 16), "white")
    image.paste("black", (0, 0, 16, 16))
    decoded = decode_image(file_of(image, "JPEG", exif=exif))
    assert decoded.size == (16, 32)
    brightness = decoded.convert("L").tobytes()
    assert brightness[0] < 30
    assert brightness[-1] > 225


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage!", b"", b"Exif\0\0II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff"])
def test_an_image_with_broken_exif_data_is_decoded(exif: bytes) -> None:
    image = picture()
    assert decode_image(file_of(image, exif=exif)).tobytes() == image.tobytes()


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_unknown_orientation_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    image = picture()
    assert decode_image(file_of(image, exif=exif)).tobytes() == image.tobytes()


def test_a_decoded_image_has_no_metadata_of_its_file() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "x")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = picture()
    decoded = decode_image(file_of(image, pnginfo=text, icc_profile=profile, dpi=(300, 300)))
    assert decoded.info == {}
    assert not isinstance(decoded, ImageFile.ImageFile)
    assert decoded.tobytes() == image.tobytes()


# -- encoding --------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(width=st.integers(1, 40), height=st.integers(1, 40), alpha=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_an_encoded_image_decodes_to_the_same_pixels(width: int, height: int, alpha: bool, seed: int) -> None:
    mode = "RGBA" if alpha else "RGB"
    levels = 256 if seed % 2 else 2
    values = np.random.default_rng(seed).integers(0, levels, (height, width, len(mode))).astype(np.uint8)
    image = Image.fromarray(values)
    decoded = decode_image(encode_png(image))
    assert (decoded.mode, decoded.size, decoded.tobytes()) == (mode, image.size, image.tobytes())


def test_equal_pixels_give_equal_bytes_whatever_metadata_they_carry() -> None:
    image = picture()
    marked = image.copy()
    marked.info = {"dpi": (300, 300), "icc_profile": b"x", "transparency": (1, 2, 3), "exif": b"Exif\0\0"}
    assert encode_png(image) == encode_png(image.copy()) == encode_png(marked)


def test_a_png_has_three_chunks_with_correct_checksums_and_the_same_bytes_as_with_zlib() -> None:
    data = encode_png(picture("RGBA"))
    names, position = [], 8
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        chunk = data[position + 4 : position + 8 + length]
        assert data[position + 8 + length : position + 12 + length] == struct.pack(">I", zlib.crc32(chunk))
        names.append(chunk[:4])
        if chunk[:4] == b"IDAT":
            compressor = zlib.compressobj(level=1, memLevel=9, strategy=zlib.Z_RLE)
            assert chunk[4:] == compressor.compress(zlib.decompress(chunk[4:])) + compressor.flush()
        position += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]
    with Image.open(io.BytesIO(data)) as image:
        image.verify()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "F"])
def test_other_modes_are_encoded_as_they_would_be_decoded(mode: str) -> None:
    assert decode_image(encode_png(Image.new(mode, (3, 2)))).size == (3, 2)


@pytest.mark.parametrize("image", [Image.new("RGB", (0, 3)), Image.new("RGB", (3, 0)), Image.new("F", (1, 1), np.nan)])
def test_an_image_that_cannot_be_encoded_is_a_bad_image(image: Image.Image) -> None:
    with pytest.raises(ModelError) as caught:
        encode_png(image)
    assert caught.value.kind == "bad_image"


def test_a_large_flat_image_stays_small() -> None:
    assert len(encode_png(Image.new("RGB", (1024, 1024), "white"))) < 30_000
