"""Official files are read and never executed, whatever they hold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.protocols.official import (
    OfficialError,
    OfficialFiles,
    OfficialTexts,
    filled,
    formatted,
    read_official,
)

SOURCE = '''
import os
os.abort()
RULES = """Rate <this>.
Twice."""
JOINED = "a" "b"
PATTERN = "\\d"
COUNT: int = 3
CHANGED = "a"
CHANGED += "b"
first, second = "a", "b"
table = {}
table[KEY] = "a value"

def ask(images):
    """What it does."""
    parts = [{"text": f"Image {len(images)}:"}]
    def inner():
        """Also a docstring."""
        return "inner"
    return parts + ["last"]
'''


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def files(tried: str = SOURCE, path: str = "bench/rules.py") -> OfficialFiles:
    return OfficialFiles("https://example.org/them/Bench", (path,), {"c0ffee" * 6 + "c0ff": {path: sha256(tried)}})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/rules.py").write_text(SOURCE)
    return tmp_path


def texts(source: str) -> OfficialTexts:
    return OfficialTexts(Path("clone"), {"rules.py": source}, {}, None, None)


def test_a_constant_is_the_text_that_the_module_assigns(checkout: Path) -> None:
    official = read_official(checkout, files())
    assert official.constant("bench/rules.py", "RULES") == "Rate <this>.\nTwice."
    assert official.constant("bench/rules.py", "JOINED") == "ab"
    assert official.constant("bench/rules.py", "PATTERN") == "\\d"


@pytest.mark.parametrize("name", ["COUNT", "CHANGED", "first", "table", "KEY", "MISSING", "ask", "os"])
def test_what_is_no_plain_text_is_refused(name: str) -> None:
    with pytest.raises(OfficialError, match=rf"clone/rules.py .*\b{name}\b.*another version"):
        texts(SOURCE).constant("rules.py", name)


def test_the_literals_of_a_function_come_in_order_with_parts_of_f_strings_and_no_docstring() -> None:
    assert texts(SOURCE).literals("rules.py", "ask") == ("text", "Image ", ":", "inner", "last")
    with pytest.raises(OfficialError, match="has 0 functions missing"):
        texts(SOURCE).literals("rules.py", "missing")


@pytest.mark.parametrize(
    "source",
    ["x = (", "\0", "(" * 100_000, "-" * 500_000 + "1", "x = 1" + "+1" * 200_000, "x = " + "[" * 90, "\ufeffx = 1"],
    ids=["cut off", "null", "brackets", "signs", "sums", "nested", "mark"],
)
def test_a_hostile_module_is_refused(source: str) -> None:
    with pytest.raises(OfficialError, match="is no Python"):
        texts(source).constant("rules.py", "x")


@pytest.mark.parametrize("source", ["{", "[" * 100_000, "9" * 10_000, '{"a": 1} b', ""])
def test_a_hostile_json_file_is_refused(source: str) -> None:
    with pytest.raises(OfficialError, match="is no JSON"):
        texts(source).json("rules.py")


def test_json_is_read() -> None:
    assert texts('{"add": "Rate <this>"}').json("rules.py") == {"add": "Rate <this>"}


def test_without_a_folder_the_error_says_what_to_clone(tmp_path: Path) -> None:
    commands = "git clone https://example.org/them/Bench && git -C Bench checkout c0ffee"
    with pytest.raises(OfficialError, match="no folder of theirs is given; run: " + commands):
        read_official(None, files())
    with pytest.raises(OfficialError, match="is not a folder; .*" + commands):
        read_official(tmp_path / "missing", files())
    with pytest.raises(OfficialError, match=r"there is no bench/rules.py in .*" + commands):
        read_official(tmp_path, files())


def test_a_folder_within_the_checkout_is_named(checkout: Path) -> None:
    with pytest.raises(OfficialError, match=r"there is no bench/rules.py in .*give the folder of the whole clone"):
        read_official(checkout / "bench", files())


def test_a_file_that_is_not_utf_8_is_refused(checkout: Path) -> None:
    (checkout / "bench/rules.py").write_bytes(b"RULES = '\xe9'")
    with pytest.raises(OfficialError, match="is not UTF-8, at byte 9"):
        read_official(checkout, files())


def test_a_huge_file_a_pipe_and_a_folder_are_refused(checkout: Path) -> None:
    path = checkout / "bench/rules.py"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(OfficialError, match="is larger than 1048576 bytes"):
        read_official(checkout, files())
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OfficialError, match="is not a regular file"):
        read_official(checkout, files())
    path.unlink()
    path.mkdir()
    with pytest.raises(OfficialError, match="is not a regular file"):
        read_official(checkout, files())


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "bench/rules.py"
    path.rename(checkout / "moved.py")
    path.symlink_to("../moved.py")
    assert read_official(checkout, files()).tried_commit
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(OfficialError, match="is a link out of the folder"):
        read_official(checkout, files())
    path.unlink()
    path.symlink_to("rules.py")
    with pytest.raises(OfficialError, match="cannot be read"):
        read_official(checkout, files())


def test_files_as_tried_are_no_deviation_and_changed_ones_are_named_with_the_command_that_gets_them(
    checkout: Path,
) -> None:
    official = read_official(checkout, files())
    assert official.tried_commit == "c0ffee" * 6 + "c0ff"
    assert files().deviation(official.hashes, checkout) is None
    (checkout / "bench/rules.py").write_text(SOURCE + "\n")
    changed = read_official(checkout, files())
    assert changed.tried_commit is None
    named = (
        "The protocol was tried with commit c0ffeec of https://example.org/them/Bench; "
        "changed since or before: bench/rules.py. To get that version, run: "
    )
    clone = "git clone https://example.org/them/Bench && git -C Bench checkout c0ffee"
    assert str(files().deviation(changed.hashes, checkout)).startswith(named + clone)
    (checkout / ".git").mkdir()
    restore = f"git -C {checkout} checkout c0ffeec -- bench/rules.py"
    assert files().deviation(changed.hashes, checkout) == named + restore


def test_placeholders_are_replaced_one_after_the_other() -> None:
    assert filled("A <x> and <y>.", {"<x>": "1 <y>", "<y>": "2"}) == "A 1 2 and 2."
    with pytest.raises(OfficialError, match="lacks <y>"):
        filled("A <x>", {"<x>": "<y>", "<y>": "2"})


@given(st.text(), st.text())
def test_fields_are_filled_in_as_str_format_does(instruction: str, around: str) -> None:
    text = around.replace("{", "{{").replace("}", "}}") + "{instruct}: {{x}} {instruct}"
    values = {"instruct": instruction, "reference": "unused"}
    assert formatted(text, values) == text.format(**values)


@pytest.mark.parametrize(
    "text", ["{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{a:{a}}", "{}", "{0}", "{other}", "{", "}", "{a.__class__}"]
)
def test_any_other_field_is_refused(text: str) -> None:
    with pytest.raises(OfficialError, match="a prompt has"):
        formatted(text, {"a": "x"})
