"""Every message arrives unchanged, with its images."""

from __future__ import annotations

from datetime import date
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec
from protocol import messages as m
from protocol.codec import decode, encode
from tests.protocol.struct_types import sample, values_of

CLASSES: tuple[type[m.Message], ...] = get_args(m.AnyMessage)


def _concrete(kind: type[m.Message]) -> set[type[m.Message]]:
    children = [child for child in kind.__subclasses__() if child.__module__.startswith(m.__name__)]
    return set().union(*map(_concrete, children)) if children else {kind}


def _sample(kind: type[m.Message]) -> tuple[m.Message, list[codec.Buffer]]:
    message = msgspec.convert(sample(msgspec.inspect.type_info(kind)), kind)
    return message, [f"image {number}".encode() for number in range(message.image_frames)]


def test_the_union_includes_every_message() -> None:
    assert _concrete(m.Message) == set(CLASSES)
    assert len({kind.__struct_config__.tag for kind in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_message_with_every_field_set_arrives_unchanged(kind: type[m.Message]) -> None:
    message, images = _sample(kind)
    assert decode(encode(message, images)) == (message, images)


@pytest.mark.parametrize("kind", CLASSES)
def test_random_messages_arrive_unchanged(kind: type[m.Message]) -> None:
    @settings(max_examples=20)
    @given(values_of(msgspec.inspect.type_info(kind)), st.data())
    def check(message: m.Message, data: st.DataObject) -> None:
        count = message.image_frames
        images: list[codec.Buffer] = list(data.draw(st.lists(st.binary(max_size=20), min_size=count, max_size=count)))
        received, received_images = decode(encode(message, images))
        assert type(received) is kind
        assert received == message
        assert received_images == images

    check()


def test_frames_may_be_views_of_another_buffer() -> None:
    message, images = _sample(m.Score)
    frames = [memoryview(frame) for frame in encode(message, images)]
    received, received_images = decode(frames)
    assert received == message
    assert [bytes(image) for image in received_images] == images


def test_an_image_is_passed_on_without_a_copy() -> None:
    message, _ = _sample(m.Edit)
    image = memoryview(bytearray(b"pixels"))
    assert decode(encode(message, [image]))[1][0] is image


def test_the_largest_batch_and_its_scores_arrive() -> None:
    item = m.ScoreItem(item="i", key="k", prompts=[m.Prompt(system="s", user="u")] * 32, with_source=True)
    score = m.Score(run="r", incarnation="i", epoch=1, job="j", items=[item] * m.MAX_BATCH, parameters={})
    images: list[codec.Buffer] = [b"png"] * 512
    assert decode(encode(score, images)) == (score, images)
    judgement = m.Judgement(aspect="a", score=7.5, method="json", response="7.5", message="m")
    scored_item = m.ScoredItem(item="i", judgements=[judgement] * 32)
    scored = m.Scored(
        run="r",
        incarnation="i",
        job="j",
        started=1,
        finished=2,
        items=[scored_item] * m.MAX_BATCH,
        batch_sizes=[1] * 256,
    )
    assert decode(encode(scored)) == (scored, [])


@pytest.mark.parametrize("images", [[], [b"one", b"two"]])
def test_encode_refuses_another_number_of_images_than_announced(images: list[codec.Buffer]) -> None:
    message, _ = _sample(m.Edit)
    with pytest.raises(ValueError, match=f"Edit has 1 image frames, not {len(images)}"):
        encode(message, images)


@pytest.mark.parametrize("thumbnails", [[], ["edit"], ["edit", "source"]])
def test_an_edit_comes_with_as_many_thumbnails_as_it_names(thumbnails: list[m.ThumbnailOf]) -> None:
    plain, _ = _sample(m.Edited)
    message = msgspec.structs.replace(plain, thumbnails=thumbnails)
    images: list[codec.Buffer] = [b"png", *(b"jpeg" for _ in thumbnails)]
    assert decode(encode(message, images)) == (message, images)
    with pytest.raises(codec.ProtocolError, match=f"Edited with {len(images) + 1} image frames, not {len(images)}"):
        decode([*encode(message, images), b"one more"])


def test_encode_refuses_an_image_over_the_limit_counted_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_IMAGE_BYTES", 1000)
    message, _ = _sample(m.Edit)
    pixels = memoryview(bytearray(1004)).cast("I")  # 251 elements
    with pytest.raises(ValueError, match="an image has 1004 bytes, over the limit of 1000"):
        encode(message, [pixels])


def test_encode_refuses_a_map_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_MAP_BYTES", 1000)
    with pytest.raises(ValueError, match=r"this Goodbye can't be sent: a map of \d+ bytes, over the limit of 1000"):
        encode(m.Goodbye(run="r", incarnation="i", reason="x" * 1000))


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        b"bytes",
        memoryview(b"view"),
        2**64,
        "\ud800",
        {1: 2},
        object(),
        date(2026, 1, 1),
        _nested(codec.MAX_DEPTH),
    ],
    ids=["NaN", "infinity", "bytes", "view", "65 bits", "surrogate", "key", "object", "date", "too deep"],
)
def test_encode_refuses_values_that_are_not_json_in_free_fields(value: object) -> None:
    spec = m.ModelSpec(role="editor", params={"name": value})
    load = m.Load(run="r", incarnation="i", epoch=1, spec=spec, residency="device")
    with pytest.raises(ValueError, match="this Load can't be sent"):
        encode(load)


@pytest.mark.parametrize(
    "message",
    [
        m.Failed(run="r", incarnation="i", job="j", stage="edit", kind="k" * 101, message=""),
        m.Release(run="r", incarnation="i", round=-1),
        m.Ack(run="", incarnation="i", job="j"),
        m.Placed(run="r", incarnation="i", epoch=1, residency="disk", seconds=-0.5),
        m.Scored(run="r", incarnation="i", job="j", started=0, finished=1, items=[], batch_sizes=[-1]),
    ],
)
def test_encode_refuses_messages_that_the_receiver_would_refuse(message: m.Message) -> None:
    with pytest.raises(ValueError, match=f"this {type(message).__name__} can't be sent"):
        encode(message)
