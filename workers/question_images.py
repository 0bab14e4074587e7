"""Carries out the image steps of questions: from the bytes of an image to what a judge is shown.

The bytes have to be those that the benchmark's authors send, so each step is the call of Pillow that their scripts
make, with its defaults. Metadata that Pillow's JPEG writer keeps by itself (a comment) stays for the same reason.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

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
    parts = [part for part in question.parts if isinstance(part, ImagePart)]
    return tuple(_image_to_show(part.image, part.step, images) for part in parts)


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
    with _naming(name):
        data = _recent.encoded(images[name], step, size)
    return QuestionImage(data, step.media_type or f"image/{step.encoding}")


class RecentImages:
    """Encodes images after their steps, and keeps the results of the last ones. Safe in any thread.

    The questions about an edit follow each other, and most of them show the same images in the same way.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[object, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def encoded(self, data: bytes, step: ImageStep, size: tuple[int, int] | None) -> bytes:
        """The image file ``data`` after this step, resized to ``size`` if there is one.

        Raises:
            ModelError: it cannot be decoded.
        """
        key = (hashlib.sha256(data).digest(), step, size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = _encode(data, step, size)
        with self._lock:
            self._bytes += len(made) - len(self._kept.pop(key, b""))
            self._kept[key] = made
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made


_recent = RecentImages(64 * 1024**2)


def _encode(data: bytes, step: ImageStep, size: tuple[int, int] | None) -> bytes:
    with opened_image(data) as image, io.BytesIO() as file:
        options = {"quality": step.quality} if step.encoding == "jpeg" else {}
        _apply(step, image, size).save(file, step.encoding, **options)
        return file.getvalue()


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
