"""Parts of a Markdown document: prose, code, links, anchors."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the content of each code block."""
    return _FENCE.findall(text)


def fences(text: str, *languages: str) -> list[str]:
    """The contents of the code blocks of these languages."""
    return [content for language, content in blocks(text) if language in languages]


def prose(text: str) -> str:
    """The text without its code blocks."""
    return _FENCE.sub("", text)


def inline(text: str) -> list[str]:
    """The code in backticks outside of code blocks."""
    return _INLINE.findall(prose(text))


def links(text: str) -> list[tuple[str, str]]:
    """The target and the anchor of each link; either may be empty."""
    targets = [link.partition("#") for link in _LINK.findall(prose(text))]
    return [(name, anchor) for name, _, anchor in targets]


def headings(text: str) -> list[tuple[int, str]]:
    """The level and the text of each heading."""
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", prose(text), re.MULTILINE)]


def anchors(path: Path) -> list[str]:
    """The anchor of each heading, as GitHub makes it."""
    return [re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for _, title in headings(read(path))]
