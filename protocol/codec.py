"""Encodes messages to frames and decodes them: one msgpack map, then the raw image frames that the message announces.

A map holds JSON's kinds of values only. msgpack's limits and a count of all values bound what is built from received
bytes; msgspec then checks every field against the message's type. All errors of received bytes are ``ProtocolError``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, NoReturn, get_args
from uuid import UUID

import msgpack
import msgspec

from protocol.messages import AnyMessage, Message

MAX_MAP_BYTES = 16 * 2**20
"""The size of the largest map: a batch of prompts, or a pool's status."""

MAX_IMAGE_BYTES = 256 * 2**20
"""The size of the largest image frame, and of the largest base64 string in a benchmark."""

MAX_LENGTH = 8192
"""The most entries of one list or map: msgpack may allocate as many as a list announces, at every level."""

MAX_VALUES = 100_000
"""The most values in a map, nested ones included: one byte on the wire can be a dict of 64 bytes in memory.

The largest message, the scores of a full batch with 32 prompts each, has 60,000.
"""

MAX_DEPTH = 32
"""The most nested lists and maps: code that compares or writes a message recurses into them."""

Buffer = bytes | memoryview

_CLASSES: dict[Any, type[AnyMessage]] = {kind.__name__: kind for kind in get_args(AnyMessage)}
_PLAIN = frozenset({NoneType, bool, int, float, str, list, dict})
# msgspec would turn these into text silently; passed on as they are, msgpack or ``_read`` refuses them.
_NOT_PLAIN = (bytes, bytearray, memoryview, datetime, date, time, timedelta, Decimal, UUID)


class ProtocolError(Exception):
    """The received frames are not a valid message."""


def encode(message: Message, images: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return the frames of a message.

    Raises ``ValueError`` if the message announces another number of images, something is over its limit, or the
    receiver would refuse it for another reason.
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
    """Return the message in these frames and its images; raises ``ProtocolError`` if they are not valid."""
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
        # The class is looked up here because msgspec takes 60 times as long with the union.
        kind = _CLASSES.get(plain.get("type") if isinstance(plain, dict) else None)
        if kind is None:
            raise ProtocolError("no map, or one whose type is not part of the protocol")
        _check_depth(plain)
        return msgspec.convert(plain, kind)
    except (ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise ProtocolError(_printable(str(error) or type(error).__name__)) from None


def _printable(text: str) -> str:
    """Make a text safe for logs and terminals, on one short line: an error may quote received bytes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:500])


class _Builder:
    """Checks every map and list when msgpack finishes it, innermost first, so that reading stops at an invalid one."""

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
        entries = (node.values() if type(node) is dict else node for node in level)
        level = [value for values in entries for value in values if type(value) in (list, dict)]
        if not level:
            return
    raise ValueError(f"lists and maps in each other more than {MAX_DEPTH} deep")


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"msgpack extension type {code} is not part of the protocol")


def _size(buffer: Buffer) -> int:
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
