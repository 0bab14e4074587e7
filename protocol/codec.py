"""Messages to frames and back: one msgpack map, then the raw image frames that the message announces.

A map holds JSON's kinds of values and nothing else. msgpack's limits and a count of all values bound what is built
from received bytes; msgspec then checks every field against the message's type. Whatever is wrong with received bytes
comes out as one exception, ``ProtocolError``.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Collection, Sequence
from types import NoneType
from typing import Any, NoReturn, get_args

import msgpack
import msgspec

from protocol.messages import AnyMessage, Message

MAX_MAP_BYTES = 16 * 2**20
"""The largest map: a batch of prompts, or a pool's status."""

MAX_IMAGE_BYTES = 256 * 2**20
"""The largest image frame; also the largest base64 string that a benchmark may hold."""

MAX_LENGTH = 8192
"""The most entries of one list or map: msgpack may make room for as many as a list says it has, at every level."""

MAX_VALUES = 100_000
"""The most values of a map with all that is in it: one byte on the wire can be a dict of 64 bytes in memory.

The largest message, the scores of a full batch with 32 prompts each, has 60,000.
"""

MAX_DEPTH = 32
"""The most levels of lists and maps in each other: whoever compares or writes a message goes down them by recursion."""

Buffer = bytes | memoryview

_CLASSES: dict[Any, type[AnyMessage]] = {kind.__name__: kind for kind in get_args(AnyMessage)}
_PLAIN = frozenset({NoneType, bool, int, float, str, list, dict})
# What msgspec would turn into text without a word; handed on as it is, msgpack and the reader refuse it.
_NOT_PLAIN = (
    bytes,
    bytearray,
    memoryview,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
)


class ProtocolError(Exception):
    """What arrived is no message of this protocol."""


def encode(message: Message, images: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return the frames of a message.

    Raises:
        ValueError: the message announces another number of images, something is over its limit, or the other side
            would refuse it for another reason. That is a mistake of the caller's, found before it reaches the wire.
    """
    name = type(message).__name__
    if len(images) != message.image_frames:
        raise ValueError(f"{name} has {message.image_frames} image frames, not {len(images)}")
    try:
        head: bytes = msgpack.packb(msgspec.to_builtins(message, builtin_types=_NOT_PLAIN), use_bin_type=True)
        _read(head)
    except (ProtocolError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"this {name} can't be sent: {error}"[:500]) from None
    for image in images:
        if _size(image) > MAX_IMAGE_BYTES:
            raise ValueError(f"an image has {_size(image)} bytes, over the limit of {MAX_IMAGE_BYTES}")
    return [head, *images]


def decode(frames: Sequence[Buffer]) -> tuple[AnyMessage, list[Buffer]]:
    """Return the message in these frames and its images.

    Raises:
        ProtocolError: anything about the frames is not as it must be.
    """
    if not frames:
        raise ProtocolError("no frame")
    head, *images = frames
    message = _read(head)
    if len(images) != message.image_frames:
        raise ProtocolError(f"{type(message).__name__} with {len(images)} image frames, not {message.image_frames}")
    if any(_size(image) > MAX_IMAGE_BYTES for image in images):
        raise ProtocolError(f"an image frame over the limit of {MAX_IMAGE_BYTES} bytes")
    return message, images


def _read(head: Buffer) -> AnyMessage:
    if _size(head) > MAX_MAP_BYTES:
        raise ProtocolError(f"a map of {_size(head)} bytes, over the limit of {MAX_MAP_BYTES}")
    build = _Builder()
    try:
        plain = msgpack.unpackb(
            head,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=build.map,
            list_hook=build.list,
            ext_hook=_refuse_extension,
            max_array_len=MAX_LENGTH,
            max_map_len=MAX_LENGTH,
            max_bin_len=0,
            max_ext_len=0,
        )
        # The class is looked up here because msgspec takes 60 times as long to find it in the union.
        kind = _CLASSES.get(plain.get("type") if isinstance(plain, dict) else None)
        if kind is None:
            raise ProtocolError("no map, or one whose type is not part of the protocol")
        _check_depth(plain)
        return msgspec.convert(plain, kind)
    except (ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise ProtocolError(_printable(str(error) or type(error).__name__)) from None


def _printable(text: str) -> str:
    """On one line and not long: an error may quote what arrived, and will stand in a log or terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:500])


class _Builder:
    """Checks every map and list as msgpack finishes it, innermost first, so that a bad one ends the reading there."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def map(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if len(plain) != len(pairs):
            raise ValueError("a key comes twice")
        for key in plain:
            if type(key) is not str:
                raise ValueError(f"a key of type {type(key).__name__}")
        self._check(plain.values())
        return plain

    def list(self, values: list[Any]) -> list[Any]:
        self._check(values)
        return values

    def _check(self, values: Collection[Any]) -> None:
        self._left -= 1 + len(values)
        if self._left < 0:
            raise ValueError(f"more than {MAX_VALUES} values")
        for value in values:
            kind = type(value)
            if kind not in _PLAIN:
                raise ValueError(f"a value of type {kind.__name__}")
            if kind is float and not math.isfinite(value):
                raise ValueError(f"{value} for a number")


def _check_depth(plain: dict[str, Any]) -> None:
    level: list[Any] = [plain]
    for _ in range(MAX_DEPTH):
        entries = (one.values() if type(one) is dict else one for one in level)
        level = [value for values in entries for value in values if type(value) in (list, dict)]
        if not level:
            return
    raise ValueError(f"lists and maps in each other more than {MAX_DEPTH} deep")


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"msgpack extension type {code} is not part of the protocol")


def _size(buffer: Buffer) -> int:
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
