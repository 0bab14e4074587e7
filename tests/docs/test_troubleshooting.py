"""Every message that ``docs/troubleshooting.md`` explains is one that the program still has."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = ("Config", "Data", "Models and loading", "Pools", "GPU memory", "During a run", "Resuming", "Reports")


def entries() -> list[str]:
    """The messages, as the tables have them."""
    tables = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    found = []
    for table in tables:
        if table.split("\n")[0] in SECTIONS:
            found += re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    return found


@functools.cache
def texts_of_the_program() -> tuple[str, ...]:
    """Every text of the source, with a mark where something is filled in."""
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
    """What a message is in the source, where ``...`` is anything."""
    return re.compile(".*".join(re.escape(part.strip()) for part in message.split("...")), re.DOTALL)


def test_there_are_as_many_entries_as_a_page_of_this_kind_needs() -> None:
    assert len(entries()) > 50
    assert len(set(entries())) == len(entries())
    assert set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE)) >= set(SECTIONS)


@pytest.mark.parametrize("message", entries())
def test_the_program_has_the_message(message: str) -> None:
    assert max(len(part.strip()) for part in message.split("...")) >= 8, "too little to be found by"
    assert any(pattern(message).search(text) for text in texts_of_the_program())


def test_a_message_that_the_program_does_not_have_would_be_found_out() -> None:
    assert not any(pattern("the flux capacitor is ... jigawatts short").search(text) for text in texts_of_the_program())
