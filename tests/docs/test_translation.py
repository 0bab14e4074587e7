"""Each Chinese document has the structure of its English original: headings, links, tables, commands, keys, options."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs import markdown
from tests.docs.markdown import DOCUMENTS, prose, read

SUFFIX = ".zh-CN.md"
TRANSLATIONS = [path for path in DOCUMENTS if path.name.endswith(SUFFIX)]

every_translation = pytest.mark.parametrize("chinese", TRANSLATIONS, ids=lambda path: path.name)


def original(chinese: Path) -> Path:
    return chinese.with_name(chinese.name.replace(SUFFIX, ".md"))


def headings(path: Path) -> list[int]:
    """The levels of the headings, in order."""
    return [level for level, _ in markdown.headings(read(path))]


def links(path: Path) -> list[tuple[str, int | None]]:
    """The target of each link, in order: the document, without its language, and the position of the heading."""
    return [
        (
            name.replace(SUFFIX, ".md"),
            markdown.anchors(path.parent / (name or path.name)).index(anchor) if anchor else None,
        )
        for name, anchor in markdown.links(read(path))
    ]


def tables(path: Path) -> list[list[str]]:
    """The code in the first column of each row, in order."""
    rows = re.findall(r"^\|([^|\n]*)\|.*\|$", prose(read(path)), re.MULTILINE)
    return [re.findall(r"`([^`]+)`", first) for first in rows]


def blocks(path: Path) -> list[tuple[str, list[str]]]:
    """Each code block: its language and its lines without the parts that are translated."""
    return [
        (language, [untranslated(language, line) for line in content.splitlines()])
        for language, content in markdown.blocks(read(path))
    ]


def untranslated(language: str, line: str) -> str:
    if language in ("console", "yaml"):
        return line.partition("  #")[0].rstrip()
    tree = re.match(r"( +[\w./<>-]+) {2,}\S", line)
    return tree[1] if language == "text" and tree else line


def code(path: Path) -> Counter[str]:
    """Commands, keys, options and messages in backticks."""
    return Counter(markdown.inline(read(path)))


def test_every_document_that_users_of_the_old_system_need_is_translated() -> None:
    assert {original(path).name for path in TRANSLATIONS} == {
        *("README.md", "tutorial.md", "coming-from-the-old-system.md", "troubleshooting.md")
    }


@every_translation
def test_both_languages_link_to_each_other_at_the_top(chinese: Path) -> None:
    english = original(chinese)
    assert f"English | [简体中文]({chinese.name})" in read(english).split("\n## ")[0]
    assert f"[English]({english.name}) | 简体中文" in read(chinese).split("\n## ")[0]


@every_translation
@pytest.mark.parametrize("part", [headings, links, tables, blocks, code])
def test_both_languages_have_the_same(part: object, chinese: Path) -> None:
    assert callable(part)
    assert part(chinese) == part(original(chinese))


@every_translation
def test_a_chinese_document_links_to_chinese_documents_where_there_are_some(chinese: Path) -> None:
    originals = {original(path) for path in TRANSLATIONS} - {original(chinese)}
    targets = {(chinese.parent / name).resolve() for name, _ in markdown.links(read(chinese))}
    assert not targets & originals


@every_translation
def test_no_paragraph_or_row_is_left_in_english(chinese: Path) -> None:
    text = re.sub(r"`[^`\n]+`|\[[\w./-]+\.md\]\([^)]*\)|\]\([^)]*\)", "", prose(read(chinese)))
    for paragraph in re.split(r"\n\s*\n|\n(?=[|-])", text):
        words, signs = len(re.findall(r"[A-Za-z]{2,}", paragraph)), len(re.findall(r"[\u4e00-\u9fff]", paragraph))
        assert words < 5 or signs > words, paragraph
