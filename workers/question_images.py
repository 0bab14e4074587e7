"""Carries out the image steps of questions: from the bytes of an image to what a judge is shown.

The bytes have to be those that the benchmark's authors send, so each step is the call of Pillow that their scripts
make, with its defaults. Metadata that Pillow's JPEG writer keeps by itself (a comment) stays for the same reason.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PIL import Image

from protocol.messages import ImagePart, ImageStep, Question
from workers.codecs import as_rgb_or_rgba, opened_image, upright_transposition
from workers.interface import ModelError, QuestionImage

_MODES = {"jpeg": {"1", "L", "RGB", "CMYK"}, "png": {"1", "L", "LA", "P", "RGB", "RGBA"}}
"""The modes that an image may have in each encoding. In another mode, it is converted to RGB."""

_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"BM", "bmp"))
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")

_SWAPPING = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
}
"""The transpositions that exchange width and height."""


def images_to_show(question: Question, images: Mapping[str, bytes]) -> tuple[QuestionImage, ...]:
    """What is shown for each image part of a question, in order. ``images`` are files, by the names of the parts.

    Raises:
        ModelError: ``bad_image``, ``image_too_large`` or ``config`` (steps that exclude each other), naming the image.
    """
    shown: dict[tuple[str, ImageStep], QuestionImage] = {}
    parts = [(part.image, part.step) for part in question.parts if isinstance(part, ImagePart)]
    for name, step in parts:
        if (name, step) not in shown:
            shown[name, step] = _image_to_show(name, step, images)
    return tuple(shown[part] for part in parts)


def _image_to_show(name: str, step: ImageStep, images: Mapping[str, bytes]) -> QuestionImage:
    with _naming(name):
        if step.encoding == "original":
            if step.rgb or step.size_of or step.longest_side or step.upright:
                raise ModelError("config", "its original bytes are to be shown, which excludes every other step")
            return QuestionImage(images[name], step.media_type or media_type_of(images[name]))
    size = None
    if step.size_of is not None:
        with _naming(step.size_of):
            size = _size(images[step.size_of], upright=step.upright)
    with _naming(name), opened_image(images[name]) as image, io.BytesIO() as file:
        options = {"quality": step.quality} if step.encoding == "jpeg" else {}
        _apply(step, image, size).save(file, step.encoding, **options)
        return QuestionImage(file.getvalue(), step.media_type or f"image/{step.encoding}")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(error.kind, f"image {name!r} of the question: {error}") from error


def media_type_of(data: bytes) -> str:
    """The media type of an image file, by its first bytes.

    Raises:
        ModelError: ``bad_image``: it is of none of the six formats that are read.
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return f"image/{name}"
    if data.startswith(_TIFF_SIGNATURES):
        return "image/tiff"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise ModelError("bad_image", f"not a readable image: {len(data)} bytes that begin with {data[:8].hex()!r}")


def _apply(step: ImageStep, image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    transposition = upright_transposition(image) if step.upright else None
    if step.rgb or image.mode not in _MODES[step.encoding]:
        image = _rgb(image)
    if size is not None:
        image = image.resize(size)
    if step.longest_side is not None:
        # Of a JPEG that is not loaded yet, it lets the decoder make a smaller image. The scripts do the same.
        image.thumbnail((step.longest_side, step.longest_side))
    return image if transposition is None else image.transpose(transposition)


def _rgb(image: Image.Image) -> Image.Image:
    """As RGB. Transparency is dropped: what is transparent gets the colour that it has in the file."""
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        return as_rgb_or_rgba(image).convert("RGB")  # scaled to 8 bits: Pillow would clip it, often to all white
    image.info.pop("transparency", None)  # no pixel depends on it; Pillow would warn of it
    return image.convert("RGB")


def _size(data: bytes, *, upright: bool) -> tuple[int, int]:
    """Width and height, from the header alone."""
    with opened_image(data) as image:
        width, height = image.size
        transposition = upright_transposition(image) if upright else None
    return (height, width) if transposition in _SWAPPING else (width, height)
