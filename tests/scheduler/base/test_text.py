"""Text from data on one line: nothing moves the cursor, turns the direction or hides."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.base.text import all_are, counted, encodable, one_line
from tests.docs.markdown import ROOT


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


def test_one_is_singular_and_any_other_number_plural() -> None:
    assert [counted(number, "pair") for number in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
    assert [counted(number, "category", "categories") for number in (1, 5)] == ["1 category", "5 categories"]
    assert [all_are(number, "worker") for number in (1, 3)] == ["The worker is", "All 3 workers are"]


_NOUNS = (
    "pairs edits scores images workers lines failures categories seconds files runs units samples jobs rows batches "
    "editors rewards devices rounds keys entries characters items bytes digits problems times judgements prompts"
)
_BARE_PLURAL = re.compile(rf"\{{\}} (?:more )?(?:{'|'.join(_NOUNS.split())})\b(?!/)")


def test_no_message_has_a_number_that_varies_before_a_fixed_plural() -> None:
    """As in ``1 pairs failed``: ``counted`` is for that. Limits, which are constants, and what exceeds them may."""
    wrong = {f"{path.name}: {text}" for path, text in _messages() if _BARE_PLURAL.search(text)}
    assert {message for message in wrong if "at most LIMIT" not in message} == set()


def _messages() -> Iterator[tuple[Path, str]]:
    """The texts of the scheduler, with ``{}`` for each value that is no constant of its module."""
    for path in sorted((ROOT / "scheduler").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield path, "".join(map(_part, node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value.replace("%d", "{}")


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return "LIMIT" if isinstance(value, ast.Name) and value.id.lstrip("_").isupper() else "{}"
