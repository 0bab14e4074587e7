"""The Chinese README says what the English one says, as far as a test can see it: the same shape, the same code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_EACH_OTHER = {"README.md", "README.zh-CN.md"}


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def headings(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), re.MULTILINE)]


def links(text: str) -> list[str]:
    return [target for target in _LINK.findall(prose(text)) if target not in _EACH_OTHER]


def tables(text: str) -> list[list[str]]:
    """What stands in code in the first column of each row, in order."""
    rows = re.findall(r"^\|([^|\n]*)\|.*\|$", prose(text), re.MULTILINE)
    return [re.findall(r"`([^`]+)`", first) for first in rows]


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Each code block: its language, and the part of its lines that is not translated."""
    return [
        (language, [untranslated(language, line) for line in body.splitlines()])
        for language, body in _FENCE.findall(text)
    ]


def untranslated(language: str, line: str) -> str:
    if language == "console":
        return line.partition("  #")[0].rstrip()
    tree = re.match(r"( +[\w./<>-]+) {2,}\S", line)
    return tree[1] if language == "text" and tree else line


def test_each_links_to_the_other_at_its_top() -> None:
    assert "[简体中文](README.zh-CN.md)" in ENGLISH.split("\n## ")[0]
    assert "[English](README.md)" in CHINESE.split("\n## ")[0]


@pytest.mark.parametrize("part", [headings, links, tables, blocks])
def test_both_have_the_same(part: object) -> None:
    assert callable(part)
    assert part(CHINESE) == part(ENGLISH)


def test_both_name_the_same_code() -> None:
    counts = [Counter(re.findall(r"`([^`\n]+)`", prose(text))) for text in (CHINESE, ENGLISH)]
    assert counts[0] == counts[1]


def test_the_translation_is_one() -> None:
    """No paragraph was left in English."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"`[^`\n]+`|\]\([^)]*\)", "", prose(CHINESE))):
        words, signs = len(re.findall(r"[A-Za-z]{2,}", paragraph)), len(re.findall(r"[\u4e00-\u9fff]", paragraph))
        assert words < 5 or signs > words, paragraph
