from __future__ import annotations

import base64
import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.base64_text import decode_base64
from scheduler.benchmark.pairs import PairError


def decode(text: bytes, step: int = 1 << 20) -> bytes:
    return decode_base64(text[at : at + step] for at in range(0, len(text), step))


def in_json(text: str, escape: str) -> bytes:
    """The string as a JSON file may hold it, with some letters escaped that need not be."""
    inner = json.dumps(text)[1:-1]
    if escape == "slashes":
        inner = inner.replace("/", "\\/")
    if escape == "plus":
        inner = inner.replace("+", "\\u002B").replace("=", "\\u003d")
    return inner.encode("ascii")


@given(
    data=st.binary(min_size=1, max_size=3000),
    url_safe=st.booleans(),
    prefix=st.sampled_from(["", "data:image/png;base64,", " \nDATA:image/jpeg;charset=utf-8;BASE64, "]),
    width=st.sampled_from([0, 3, 64]),
    escape=st.sampled_from(["", "slashes", "plus"]),
    step=st.integers(1, 40) | st.just(1 << 20),
)
def test_every_way_to_write_base64_gives_the_bytes_back(
    data: bytes, url_safe: bool, prefix: str, width: int, escape: str, step: int
) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode("ascii")
    if width:
        text = "\r\n".join(textwrap.wrap(text, width))
    assert decode(in_json(prefix + text, escape), step) == data


def test_raw_line_breaks_inside_the_string_are_passed_over() -> None:
    assert decode(b"\n\tQUJD\nREVG \n") == b"ABCDEF"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"data:image/png;base64,", "is empty"),
        (b"QUJ", "cut off"),
        (b"QUJDRA", "cut off"),
        (b"QUJD!!!!", "b'!' is not a base64 letter"),
        (b"b'QUJD'=", 'b"\'" is not a base64 letter'),
        ("QUJ中".encode(), "not a base64 letter"),
        (b"QQ==QUJD", "Excess data after padding"),
        (b"====", "padding"),
        (b"data:image/png,QUJD", "the data URI is not base64"),
        (b"QUJD\\u4e2d", "wrong escape"),
        (b"QUJD\\x", "wrong escape"),
        (b"QUJD\\", "wrong escape"),
    ],
)
@pytest.mark.parametrize("step", [1, 5, 1 << 20])
def test_what_is_no_base64_is_refused(text: bytes, message: str, step: int) -> None:
    with pytest.raises(PairError) as caught:
        decode(text, step)
    assert caught.value.kind == "bad_base64"
    if step > 5:
        assert message in caught.value.message


def test_text_behind_the_padding_is_refused_also_across_chunks() -> None:
    with pytest.raises(PairError, match="goes on behind its padding"):
        decode(b"QUJD" * 500 + b"QQ==QUJD", step=2004)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_either_decoded_or_bad_base64(text: bytes, step: int) -> None:
    try:
        outcome = "decoded" if decode(text, step) else "nothing"
    except PairError as error:
        outcome = error.kind
    assert outcome in {"decoded", "bad_base64"}
