"""Text from data on one line: nothing moves the cursor, turns the direction or hides."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.base.text import encodable, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("物理 ✅ naïve", "物理 ✅ naïve"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b]0;title\x07\x9b", "\\x1b]0;title\\x07\\x9b"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("👩‍💻", "👩‍💻"),
    ],
)
def test_what_does_not_print_is_made_visible_and_the_rest_stays(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize(("text", "limit", "shown"), [("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("ab\n", 3, "ab…")])
def test_a_long_text_ends_with_an_ellipsis(text: str, limit: int, shown: str) -> None:
    assert one_line(text, limit) == shown


@given(st.text(), st.none() | st.integers(min_value=1, max_value=20))
def test_one_line_is_one_line_of_utf_8_within_its_limit(text: str, limit: int | None) -> None:
    line = one_line(text, limit)
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line
    assert limit is None or len(line) <= limit
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)


def test_anything_can_be_shown() -> None:
    assert one_line(ValueError("no\nway")) == "no\\nway"


def test_half_a_surrogate_pair_becomes_what_utf_8_can_hold() -> None:
    assert encodable("a\ud800b") == "a\\ud800b"
