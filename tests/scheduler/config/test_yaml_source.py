"""Reading YAML: precise errors, no surprises, bounded memory."""

from __future__ import annotations

import bz2
import gzip
import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.config.problems import ConfigError
from scheduler.config.reading.yaml_source import YamlSource, read_source
from tests.scheduler.config.written import write


def read(folder: Path, text: str) -> YamlSource:
    return read_source(write(folder, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", "line 2, column "),
        ("a: 'open\n", "line "),
        ("a:\n\tb: 1\n", "never with tabs"),
        ("a: 1\n---\nb: 2\n", "document"),
        ("- a\n- b\n", "a list, not a mapping"),
        ("word\n", "a single value, not a mapping"),
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("a: *nobody\n", "line 1, column 4"),
        ("a: \x07\n", "line 1, column 4: the control character"),
        ("a: &x [*x]\n", "an alias stands inside what it names"),
        ("[" * 1000 + "]" * 1000, "nested deeper"),
        ("a: " + "[" * 500_000, "nested deeper"),
        ("a: " + "x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_what_cannot_be_read_says_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert "config.yaml" in str(caught.value)


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("a: 1\nb: 物理\n".encode("gb18030"))
    with pytest.raises(ConfigError, match=r"byte 0x\w\w in line 2"):
        read_source(path)


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_source(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="can't be read"):
        read_source(tmp_path)


def test_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"pipe\.yaml: is a pipe, not a regular file"):
        read_source(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="is a device"):
        read_source(Path("/dev/zero"))


@pytest.mark.parametrize(("packed", "words"), [(gzip.compress, "gzip-compressed"), (bz2.compress, "bzip2-compressed")])
def test_a_packed_file_is_named_as_what_it_is(tmp_path: Path, packed: Callable[[bytes], bytes], words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(packed(b"a: 1\n"))
    with pytest.raises(ConfigError, match=f"config.yaml: is {words}; unpack it"):
        read_source(path)


@pytest.mark.parametrize("width", [9, 400])
def test_aliases_that_expand_hugely_are_refused_in_little_memory(tmp_path: Path, width: int) -> None:
    layers = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, 12)]
    path = write(tmp_path, "\n".join(layers))
    tracemalloc.start()
    with pytest.raises(ConfigError, match="once its aliases expand"):
        read_source(path)
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


def test_a_long_chain_of_aliases_is_refused(tmp_path: Path) -> None:
    chain = "\n".join(["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5000)])
    with pytest.raises(ConfigError, match="nested deeper"):
        read(tmp_path, chain)


def test_merges_that_expand_hugely_are_refused(tmp_path: Path) -> None:
    layers = ["a0: &a0 {k: " + "x" * 500 + "}"]
    layers += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 30)}]}}" for n in range(1, 8)]
    with pytest.raises(ConfigError, match="aliases expand"):
        read(tmp_path, "\n".join(layers))


def test_aliases_and_merge_keys_of_a_normal_size_work(tmp_path: Path) -> None:
    text = "base: &base {x: 1, y: 2}\nother:\n  <<: *base\n  y: 3\nsame: *base\n"
    source = read(tmp_path, text)
    assert source.data == {"base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}
    assert source.problems == ()


def test_a_duplicate_key_is_named_with_both_lines_and_the_rest_is_read(tmp_path: Path) -> None:
    source = read(tmp_path, "a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert source.data == {"a": {"b": 1, "c": 2}}
    assert [(problem.path, problem.message) for problem in source.problems] == [
        ("a.b", "is there twice: in line 2 and in line 4")
    ]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("010", "010"),
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("0x10", 16),
        ("-3", -3),
        (".5", 0.5),
        ("yes", True),
        ("off", False),
        ("'no'", "no"),
        ("~", None),
        ("", None),
        ("!!str 12", "12"),
        ("=", "="),
        ("${HOME}", "${HOME}"),
    ],
)
def test_what_a_word_becomes(tmp_path: Path, word: str, value: object) -> None:
    found = read(tmp_path, f"a: {word}\n").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system [ls]", "!!binary aGk=", "!!set {a}", "!mine 3"])
def test_tags_beyond_plain_values_are_refused(tmp_path: Path, value: str) -> None:
    problems = read(tmp_path, f"a: {value}\n").problems
    assert "is not accepted (line 1)" in problems[0].message


def test_keys_that_are_no_words_are_reported(tmp_path: Path) -> None:
    source = read(tmp_path, "a:\n  [1, 2]: x\n  1.5: y\n  ~: z\n")
    assert [problem.path for problem in source.problems] == ["a", "a.1.5", "a.~"]


def test_a_number_of_too_many_digits_is_reported(tmp_path: Path) -> None:
    assert "too long for a number" in read(tmp_path, f"a: {'9' * 6000}\n").problems[0].message


def test_lines_and_words_are_kept(tmp_path: Path) -> None:
    source = read(tmp_path, "a:\n  b: [yes,\n      no]\n")
    assert source.where(("a", "b", 1)) == " (line 3)"
    assert source.words["a", "b", 1] == "no"
    assert source.where(("c",)) == ""


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_source(path).data == {"a": 1}
