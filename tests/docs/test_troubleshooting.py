"""Every message that ``docs/troubleshooting.md`` explains is in the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from tests.docs.markdown import ROOT, read

TEXT = read(ROOT / "docs" / "troubleshooting.md")
SECTIONS = ("Config", "Data", "Models and loading", "Pools", "GPU memory", "During a run", "Resuming", "Reports")


def messages() -> list[str]:
    """The messages in the first columns of the tables."""
    sections = [section.partition("\n") for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]]
    return [
        message
        for title, _, text in sections
        if title in SECTIONS
        for message in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    ]


def source_texts() -> tuple[str, ...]:
    """Every string of the sources, with ``{}`` for the parts that are filled in."""
    return tuple(
        text
        for package in ("protocol", "workers", "scheduler", "scripts")
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
    )


def _texts(tree: ast.AST) -> Iterator[str]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def pattern(message: str) -> re.Pattern[str]:
    """The pattern of a message, where ``...`` matches anything."""
    return re.compile(".*".join(re.escape(part.strip()) for part in message.split("...")), re.DOTALL)


def test_the_page_explains_more_than_fifty_messages_and_each_once() -> None:
    assert len(messages()) > 50
    assert len(set(messages())) == len(messages())
    assert set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE)) >= set(SECTIONS)


def missing(explained: Sequence[str]) -> list[str]:
    """Those that no string of the sources has."""
    texts = source_texts()

    def is_there(message: str) -> bool:
        longest = max((part.strip() for part in message.split("...")), key=len)
        assert len(longest) >= 8, f"too short to search for: {message}"
        return any(longest in text and pattern(message).search(text) for text in texts)

    return [message for message in explained if not is_there(message)]


def test_the_sources_have_all_messages() -> None:
    unknown = "the flux capacitor is ... jigawatts short"
    assert missing([*messages(), unknown]) == [unknown]
