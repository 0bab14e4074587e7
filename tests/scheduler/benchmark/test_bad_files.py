from __future__ import annotations

import gzip
import json
import lzma
import os
import zlib
from pathlib import Path

import pytest

from scheduler.benchmark import DataError, collect, load_benchmark
from tests.scheduler.benchmark.make import pair, write_bytes, write_json


def refused(path: Path) -> str:
    """The message of the refusal, which has to begin with the path."""
    with pytest.raises(DataError) as caught:
        load_benchmark(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.json") == "there is no such file or folder"
    assert refused(Path("a\0b")).startswith("cannot be read")
    (tmp_path / "loop").symlink_to("loop")
    assert refused(tmp_path / "loop").startswith("cannot be read")


def test_a_folder_of_no_format_is_told_where_the_formats_are_and_one_of_a_format_what_it_lacks(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith("no format recognizes what is in this folder: `warmbench list formats` says")
    with pytest.raises(DataError, match=r"there is no data_total\.json in this folder"):
        load_benchmark(tmp_path, format_name="risebench")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == "this is neither a file nor a folder"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\0" * 100, "expected a value"),
        (b"pair_id,edit_instruction\n1,x\n", "expected a value (at byte 0, found b'pair_id,edit_instruc')"),
        (zlib.compress(b"[]"), "expected a value"),
        (gzip.compress(b"[]", mtime=0), "it is gzip-compressed; unpack it"),
        (lzma.compress(b"[]"), "it is xz-compressed; unpack it"),
        ('{"a": []}'.encode("utf-16"), "save it as UTF-8"),
        (b"[" * 100_000, "nested more than 100 deep"),
        (b'{"a": [{"edit_instruction": "x", "more": ' + b"[" * 100_000, "nested more than 100 deep"),
        (b'{"a": [{"pair_id": ' + b"1" * 10_000 + b"}]}", "a number has more than 4300 characters"),
        (b"5", "it holds a JSON number; expected a list of pairs or an object"),
        (b'"text"', "it holds a JSON text"),
        (b"null", "it holds a JSON null"),
        (b"[]", "there is no pair in it"),
        (b"{}", "there is no pair in it"),
        (b'{"a": [], "b": []}', "there is no pair in it"),
        (b'{"a": {"pair_id": 1}}', "under 'a' it holds a JSON object"),
        (b'{"pair_id": 1}\n{"pair_id": 2}\n', "for JSON Lines, set benchmark.format to jsonl"),
        (b"[1, 2, 3]", "none of its 3 items has original_image_b64 or edit_instruction"),
        (b'{"images": [{"id": 1, "file_name": "x.png"}]}', "none of its 1 item has"),
        (b'[{"index": 1, "image": "a.png", "instruction": "x"}]', "(a RISEBench list is named data_total.json)"),
    ],
    ids=lambda value: value.decode("ascii", "replace")[:20] if isinstance(value, bytes) else "",
)
def test_a_file_of_another_shape_is_told_with_what_was_found(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refused(write_bytes(tmp_path, content))


CHINESE = json.dumps(
    {"物理": [pair(1, edit_instruction="让玻璃杯掉到地上"), pair(2, edit_instruction="把天空变成红色")]},
    ensure_ascii=False,
)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "big5", "shift_jis"])
def test_a_file_in_another_encoding_is_one_error_that_says_how_to_convert_it(tmp_path: Path, encoding: str) -> None:
    message = refused(write_bytes(tmp_path, CHINESE.encode(encoding, "ignore")))
    assert "its texts are not UTF-8" in message
    assert "iconv -f GB18030 -t UTF-8 OLD > NEW" in message


def test_a_single_text_in_gbk_shows_what_the_file_is(tmp_path: Path) -> None:
    content = json.dumps([pair(1, category="c"), pair(2, category="c", edit_instruction="红")], ensure_ascii=False)
    assert "its texts are not UTF-8" in refused(write_bytes(tmp_path, content.encode("gbk")))


def test_a_character_whose_second_byte_is_a_backslash_does_not_hide_the_encoding(tmp_path: Path) -> None:
    content = json.dumps([pair(1, category="c", edit_instruction="誠")], ensure_ascii=False).encode("gbk")
    assert b"\\" in content
    message = refused(write_bytes(tmp_path, content))
    assert "its texts are not UTF-8" in message
    assert "iconv" in message


def test_a_few_broken_texts_among_many_spoil_their_pairs_alone(tmp_path: Path) -> None:
    pairs = [pair(number, edit_instruction="变成蓝色") for number in range(9)]
    content = json.dumps({"物理": pairs}, ensure_ascii=False).encode()
    for _ in range(3):
        content = content.replace("变成蓝色".encode(), "变成蓝色".encode("gbk"), 1)
    benchmark = load_benchmark(write_bytes(tmp_path, content))
    assert (len(benchmark.pairs), {bad.kind for bad in benchmark.bad}) == (6, {"bad_field"})


def test_a_file_that_was_cut_off_is_never_half_loaded(tmp_path: Path) -> None:
    content = json.dumps({"c": [pair("a"), pair("b")]}).encode()
    for length in range(0, len(content), 7):
        assert "JSON" in refused(write_bytes(tmp_path, content[:length]))


def test_text_behind_the_end_is_refused(tmp_path: Path) -> None:
    content = json.dumps([pair("a", category="c")]).encode()
    assert "more text follows behind the end" in refused(write_bytes(tmp_path, content + b"\n" + content))


def test_too_many_pairs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_PAIRS", 3)
    assert len(load_benchmark(write_json(tmp_path, {"c": [pair(number) for number in range(3)]})).pairs) == 3
    assert refused(write_json(tmp_path, {"c": [pair(number) for number in range(4)]})) == "there are more than 3 pairs"


@pytest.mark.parametrize(
    "content",
    [
        '{"a": [], "b": [], "c": []}',
        '{"a": [], "a": [], "a": []}',
        '[{"category": 1}, {"category": 2}, {"category": 3}]',
    ],
)
def test_too_many_categories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(collect, "MAX_CATEGORIES", 2)
    assert refused(write_bytes(tmp_path, content.encode())) == "there are more than 2 categories"


def test_a_file_whose_pairs_are_all_bad_is_still_a_benchmark(tmp_path: Path) -> None:
    benchmark = load_benchmark(write_json(tmp_path, {"c": [pair("a", edit_instruction="")]}))
    assert (len(benchmark.pairs), len(benchmark.bad)) == (0, 1)
