"""Decoding any bytes gives a valid message or a ``ProtocolError``, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec
from protocol import messages as m
from protocol.codec import ProtocolError, decode, encode
from tests.protocol.struct_types import mutants, sample, values_of

CLASSES: tuple[type[m.Message], ...] = get_args(m.AnyMessage)
RELEASE = {"type": "Release", "run": "r", "incarnation": "i", "round": 1}


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def _images(kind: type[m.Message]) -> list[bytes]:
    message = msgspec.convert(sample(msgspec.inspect.type_info(kind)), kind)
    return [b"image"] * message.image_frames


def _decode_or_refuse(frames: Sequence[codec.Buffer]) -> None:
    """Decode; check that the result, if any, is a valid message that stays the same when it is sent again."""
    try:
        message, images = decode(frames)
    except ProtocolError:
        return
    assert decode(encode(message, images)) == (message, images)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_message_with_one_wrong_field_is_refused(kind: type[m.Message]) -> None:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    images = _images(kind)
    decode([_pack(sample(info)), *images])
    accepted = []
    for what, wrong in mutants(info):
        try:
            decode([_pack(wrong), *images])
        except ProtocolError:
            continue
        accepted.append(what)
    assert accepted == []


@pytest.mark.parametrize("kind", CLASSES)
def test_another_number_of_frames_than_announced_is_refused(kind: type[m.Message]) -> None:
    head, images = _pack(sample(msgspec.inspect.type_info(kind))), _images(kind)
    wrong = [[*images, b"surplus"], [*images, *[b"surplus"] * 600]]
    if images:
        wrong.append(images[:-1])
    for frames in wrong:
        with pytest.raises(ProtocolError, match=f"{kind.__name__} with {len(frames)} image frames, not {len(images)}"):
            decode([head, *frames])


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=3))
def test_random_bytes_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode(frames)


_msgpack_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=9))
    | st.builds(msgpack.Timestamp, st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**9 - 1)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*RELEASE, "state", 1, b"run", None, 1.5]), inner, max_size=5)
    ),
    max_leaves=15,
)


@settings(max_examples=100)
@given(_msgpack_values)
def test_random_msgpack_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError):
        decode([_pack(value)])


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_message_is_refused_or_is_another_valid_message(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([m.Welcome, m.Edited, m.Scored, m.Load, m.Lease]))
    message: m.Message = data.draw(values_of(msgspec.inspect.type_info(kind)))
    images = [b"image"] * message.image_frames
    head = bytearray(encode(message, images)[0])
    at = data.draw(st.integers(0, len(head) - 1))
    damage = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
    if damage == "flip":
        head[at] ^= data.draw(st.integers(1, 255))
    elif damage == "cut":
        del head[at:]
    elif damage == "insert":
        head[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    else:
        del head[at]
    _decode_or_refuse([bytes(head), *images])


def test_a_key_that_comes_twice_is_refused() -> None:
    twice = b"\x85" + _pack(RELEASE)[1:] + _pack("round") + _pack(2)
    with pytest.raises(ProtocolError, match="a key comes twice"):
        decode([twice])


def test_a_second_map_after_the_first_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode([_pack(RELEASE) * 2])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xc1",
        b"\xdb\xff\xff\xff\xff",
        b"\x81\xa4type\xa4\xff\xfe\xfd\xfc",
        b"\x81\xa1a" + b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        _pack(RELEASE | {"round": [[[[1]]]]}),
        _pack(RELEASE | {"round": 2**64 - 1}),
        _pack("Release"),
        _pack([RELEASE]),
        _pack(RELEASE | {"type": "Message"}),
        _pack(RELEASE | {"type": "RunMessage"}),
    ],
    ids=lambda head: repr(head[:20]),
)
def test_an_invalid_message_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"\w"):
        decode([head])


def test_a_message_without_frames_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no frame"):
        decode([])


def test_frames_over_their_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_MAP_BYTES", 2000)
    monkeypatch.setattr(codec, "MAX_IMAGE_BYTES", 1000)
    with pytest.raises(ProtocolError, match="a map of 2001 bytes, over the limit of 2000"):
        decode([bytes(2001)])
    edit = _pack(sample(msgspec.inspect.type_info(m.Edit)))
    with pytest.raises(ProtocolError, match="an image frame over the limit of 1000 bytes"):
        decode([edit, bytes(1001)])


_LONG_LIST = b"\xdd" + codec.MAX_LENGTH.to_bytes(4, "big")


@pytest.mark.parametrize(
    "head",
    [
        (b"\xdd\x00\x0f\xf0\x00" * 1020).ljust(2**20, b"\xc0"),
        _LONG_LIST * 1020,
        ((_LONG_LIST + b"\x80" * (codec.MAX_LENGTH - 1)) * 2048)[: codec.MAX_MAP_BYTES],
        ((_LONG_LIST + b"\xa2ab" * (codec.MAX_LENGTH - 1)) * 20)[: 2**20],
        b"\xdc\xff\xff" + b"\x90" * 65_535,
        b"\xde\xff\xff" + b"\xa0\x80" * 65_535,
    ],
    ids=["long lists nested", "lists as long as allowed nested", "empty maps", "short texts", "too long", "too wide"],
)
def test_reading_a_message_never_takes_more_than_a_hundred_megabytes(head: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode([head])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20


def test_more_values_than_any_message_needs_are_refused() -> None:
    rows = [[0] * 1000] * (codec.MAX_VALUES // 1000 + 1)
    with pytest.raises(ProtocolError, match=f"more than {codec.MAX_VALUES} values"):
        decode([_pack(RELEASE | {"rows": rows})])


def test_free_fields_may_be_nested_up_to_a_depth() -> None:
    def load(depth: int) -> bytes:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return _pack(sample(msgspec.inspect.type_info(m.Load)) | {"spec": {"role": "editor", "params": {"a": value}}})

    inside = codec.MAX_DEPTH - 3  # the message, its spec, the spec's parameters
    decode([load(inside)])
    for depth in (inside + 1, 400):
        with pytest.raises(ProtocolError):
            decode([load(depth)])
