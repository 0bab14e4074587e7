"""The bytes on the wire must not change: workers and schedulers of different versions may be connected.

``tests/data/messages.json`` has two examples of every message, one with every field set, one with required fields
only. ``tests/recorded.py`` says how to record them again.
"""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from protocol import messages as m
from protocol.codec import Buffer, decode, encode
from tests.protocol.struct_types import sample
from tests.recorded import DATA, assert_as_recorded

FILE = DATA / "messages.json"
CLASSES: tuple[type[m.Message], ...] = get_args(m.AnyMessage)


def examples(kind: type[m.Message]) -> dict[str, m.Message]:
    struct = msgspec.inspect.type_info(kind)
    assert isinstance(struct, msgspec.inspect.StructType)
    full: dict[str, Any] = sample(struct)
    required = {field.encode_name for field in struct.fields if field.required} | {struct.tag_field}
    least = {name: value for name, value in full.items() if name in required}
    return {"full": msgspec.convert(full, kind), "required": msgspec.convert(least, kind)}


def images_of(message: m.Message) -> list[Buffer]:
    return [f"image {number}".encode() for number in range(message.image_frames)]


def frames_of(message: m.Message) -> list[str]:
    return [bytes(frame).hex() for frame in encode(message, images_of(message))]


def test_every_message_is_encoded_to_the_recorded_bytes() -> None:
    encoded = {
        kind.__name__: {name: frames_of(message) for name, message in examples(kind).items()} for kind in CLASSES
    }
    assert_as_recorded(FILE, json.dumps(encoded, indent=1) + "\n")


@pytest.mark.parametrize("kind", CLASSES)
def test_the_recorded_bytes_are_decoded_to_the_same_message(kind: type[m.Message]) -> None:
    recorded: dict[str, list[str]] = json.loads(FILE.read_text(encoding="utf-8"))[kind.__name__]
    for name, message in examples(kind).items():
        assert decode([bytes.fromhex(frame) for frame in recorded[name]]) == (message, images_of(message))
