"""Messages to frames and back: one msgpack map, then the raw image frames that the message announces.

msgpack bounds what a map may hold before anything is built from it; msgspec then checks every field against the
message's type. Whatever is wrong with received bytes comes out as one exception, ``ProtocolError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import msgpack
import msgspec

from protocol.messages import AnyMessage, Message

MAX_MAP_BYTES = 16 * 2**20
"""The largest map: a batch of prompts, or a pool's status."""

MAX_IMAGE_BYTES = 256 * 2**20
"""The largest image frame; also the largest base64 string that a benchmark may hold."""

Buffer = bytes | memoryview


class ProtocolError(Exception):
    """What arrived is no message of this protocol."""


def encode(message: Message, images: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return the frames of a message.

    Raises:
        ValueError: the message announces another number of images, or something is over its limit. That is a
            mistake of the caller's, found before it reaches the wire.
    """
    if len(images) != message.image_frames:
        raise ValueError(f"{type(message).__name__} has {message.image_frames} image frames, not {len(images)}")
    head: bytes = msgpack.packb(msgspec.to_builtins(message), use_bin_type=True)
    if len(head) > MAX_MAP_BYTES:
        raise ValueError(f"{type(message).__name__} has {len(head)} bytes, over the limit of {MAX_MAP_BYTES}")
    for image in images:
        if len(image) > MAX_IMAGE_BYTES:
            raise ValueError(f"an image has {len(image)} bytes, over the limit of {MAX_IMAGE_BYTES}")
    return [head, *images]


def decode(frames: Sequence[Buffer]) -> tuple[AnyMessage, list[Buffer]]:
    """Return the message in these frames and its images.

    Raises:
        ProtocolError: anything about the frames is not as it must be.
    """
    if not frames:
        raise ProtocolError("no frame")
    head, *images = frames
    if len(head) > MAX_MAP_BYTES:
        raise ProtocolError(f"a map of {len(head)} bytes, over the limit of {MAX_MAP_BYTES}")
    try:
        plain = msgpack.unpackb(head, raw=False, strict_map_key=True, ext_hook=_refuse_extension)
        message = msgspec.convert(plain, AnyMessage)
    except (ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise ProtocolError(f"no message: {error}"[:500]) from None
    if len(images) != message.image_frames:
        raise ProtocolError(f"{type(message).__name__} with {len(images)} image frames, not {message.image_frames}")
    if any(len(image) > MAX_IMAGE_BYTES for image in images):
        raise ProtocolError(f"an image frame over the limit of {MAX_IMAGE_BYTES} bytes")
    return message, list(images)


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"msgpack extension type {code} is not part of the protocol")
