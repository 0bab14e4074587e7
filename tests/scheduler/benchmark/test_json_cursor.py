from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark import json_cursor
from scheduler.benchmark.json_cursor import Cursor, JsonError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)
layouts = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 0, 2])})


@contextmanager
def cursor_over(content: bytes) -> Iterator[Cursor]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_bytes(content)
        with path.open("rb", buffering=0) as file:
            yield Cursor(file)


def build(cursor: Cursor) -> Json:
    """The whole value, as ``json.loads`` would build it."""
    kind = cursor.next_kind()
    if kind == "object":
        return {cursor.text(key): build(cursor) for key in cursor.members()}
    if kind == "list":
        return [build(cursor) for _ in cursor.items()]
    piece = cursor.skip()
    if kind == "text":
        return cursor.text(piece)
    value: Json = json.loads(cursor.raw(piece))
    return value


def read(content: bytes) -> Json:
    with cursor_over(content) as cursor:
        value = build(cursor)
        cursor.finish()
        return value


@pytest.fixture(params=[1, 2, 7, 1 << 20], ids=lambda size: f"windows of {size}")
def _window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_cursor, "_WINDOW", request.param)


@given(value=json_values, layout=layouts, window=st.sampled_from([1, 3, 8, 1 << 20]))
def test_any_json_value_is_read_as_json_loads_reads_it(value: Json, layout: dict[str, object], window: int) -> None:
    text = json.dumps(value, **layout)  # type: ignore[arg-type]  # the keys are those of json.dumps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_cursor, "_WINDOW", window)
        assert read(text.encode("utf-8", "surrogatepass")) == json.loads(text)


@given(value=json_values, layout=layouts)
def test_passing_over_a_value_ends_exactly_behind_it(value: Json, layout: dict[str, object]) -> None:
    text = json.dumps(value, **layout).encode()  # type: ignore[arg-type]  # the keys are those of json.dumps
    with cursor_over(b" " + text + b"\n") as cursor:
        piece = cursor.skip()
        cursor.finish()
    quotes = piece.kind == "text"
    assert (piece.start - quotes, piece.end + quotes) == (1, 1 + len(text))


@given(
    value=json_values,
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from('{}[]",:0-.eE+ntfx\\ \n')), max_size=3),
    cut=st.integers(0, 10_000) | st.none(),
)
def test_a_spoilt_text_is_refused_just_when_json_loads_refuses_it(
    value: Json, changes: list[tuple[int, str]], cut: int | None
) -> None:
    characters = list(json.dumps(value))
    for place, character in changes:
        characters[place % len(characters)] = character
    text = "".join(characters)[: None if cut is None else cut % (len(characters) + 1)]
    assert outcome(read, text.encode()) == outcome(lambda content: json.loads(content, strict=False), text.encode())


@given(value=json_values, place=st.integers(0, 10_000), character=st.sampled_from('{}[]",:0-.eE+ntfx '))
def test_grammar_is_checked_in_what_is_passed_over(value: Json, place: int, character: str) -> None:
    text = json.dumps(value).replace("\\", "/")  # escapes are the one thing that is not
    spoilt = text[: place % len(text)] + character + text[place % len(text) + 1 :]
    refused = outcome(pass_over, spoilt.encode()) == "refused"
    assert refused == (outcome(json.loads, spoilt.encode()) == "refused")


def outcome(reader: Callable[[bytes], object], content: bytes) -> str:
    try:
        return repr(reader(content))
    except ValueError:
        return "refused"


def pass_over(content: bytes) -> None:
    with cursor_over(content) as cursor:
        cursor.skip()
        cursor.finish()


@pytest.mark.usefixtures("_window")
def test_escapes_at_the_edge_of_a_window_are_kept_together() -> None:
    text = r'["\\", "\"", "\\\"x", "\u00e9\ud83d\ude00", "a\/b", ""]'
    assert read(text.encode()) == json.loads(text)


@pytest.mark.usefixtures("_window")
def test_text_is_found_again_after_its_window_is_gone() -> None:
    with cursor_over(b'["first", "second"]' + b" " * 20) as cursor:
        pieces = [cursor.skip() for _ in cursor.items()]
        cursor.finish()
        assert [cursor.text(piece) for piece in pieces] == ["first", "second"]


def test_nan_and_infinity_are_values_as_python_writes_them() -> None:
    value = read(b"[NaN, Infinity, -Infinity]")
    assert isinstance(value, list)
    assert math.isnan(float(str(value[0])))
    assert value[1:] == [math.inf, -math.inf]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding: str) -> None:
    with pytest.raises(JsonError, match="UTF-16 or UTF-32; save it as UTF-8"):
        read('{"a": 1}'.encode(encoding))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_before_it_costs_anything(opening: bytes) -> None:
    with cursor_over(opening * 100_000) as cursor, pytest.raises(JsonError, match="more than 100 deep"):
        cursor.skip()


def test_nesting_up_to_the_limit_is_passed_over() -> None:
    with cursor_over(b"[" * 100 + b"]" * 100) as cursor:
        assert cursor.skip().length == 200


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(JsonError, match="a number has more than 4300 characters"):
        read(b"[" + b"1" * 5000 + b"]")


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_cursor, "MAX_VALUES", 10)
    with pytest.raises(JsonError, match="more than 10 values"):
        read(b"[" + b"0," * 11 + b"0]")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"   ", "ends in the middle"),
        (b"\0\0\0\0\0", "expected a value"),
        (b'{"a"', "ends in the middle"),
        (b'{"a": "b', "ends within the string that begins at byte 7"),
        (b'{"a": 1,}', "expected a key in double quotes"),
        (b"[1 2]", r"expected ',' or '\]' \(at byte 3, found b'2\]'\)"),
        (b"[01]", r"expected ',' or '\]'"),
        (b"hello", r"expected a value \(at byte 0, found b'hello'\)"),
        (b"[1]\n[2]", "more text follows behind the end"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        read(content)
