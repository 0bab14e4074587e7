"""Escapes text from data for Markdown, so that it is shown literally and makes no cell, link, tag or heading."""

from __future__ import annotations

import re

from scheduler.base.text import one_line

# Entities, for renderers that ignore backslashes: HTML, and what ends cells and code.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;"}
_SPECIAL = re.compile(
    r"[&<>|`\\*\[\]~$@]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # between letters it is no emphasis, and `bad_base64` stays one word to search for
    r"|(?<!\w)#"  # the closing marks of a heading
    r"|:(?=//)|(?<=www)\."  # what GitHub would make a link
    r"|^[-+=]|(?P<number>^\d{1,9})[.)](?=\s|$)",  # lists and rules; of `0.1.0` nothing
    re.IGNORECASE,
)


def escape(value: object, limit: int | None = None) -> str:
    """Return one line of Markdown that renders as the value's text, shortened to ``limit`` characters of it."""
    return _SPECIAL.sub(_escaped, one_line(value, limit).strip())


def _escaped(match: re.Match[str]) -> str:
    number = match["number"] or ""
    character = match.group().removeprefix(number)
    return number + _ENTITIES.get(character, f"\\{character}")


def table(headings: list[str], rows: list[list[str]], *, left: int = 1) -> list[str]:
    """Return the lines of a table. The cells are Markdown; the first ``left`` columns align left, the others right."""
    rule = [":---" if column < left else "---:" for column in range(len(headings))]
    return [_row(headings), _row(rule), *(_row(row) for row in rows)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
