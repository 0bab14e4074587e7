"""The values of a report as its page embeds them: without nulls, with long texts cut, with numbers that are exact.

JavaScript reads integers beyond 2**53 as rounded floats, so these become texts. Nothing is escaped here: the page makes
characters visible that do not print, and sets texts as text, never as HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.base.text import ELLIPSIS, encodable

MAX_TEXT = 8_000
"""Characters of one text."""
MIN_TEXT = 500
MAX_ALL_TEXTS = 30_000_000
"""Characters of all texts together; with more, each text is cut shorter."""
MAX_NAME = 300
MAX_EXACT = 2**53

_MAX_DEPTH = 12
_MAX_NODES = 5_000
_MAX_VALUE = 2_000

_TEXTS = frozenset(
    {"instruction", "description", "response", "message", "notes", "settings", "reference", "deviations"}
)
"""The keys of texts; all other strings are names."""


def text_limit(lengths: Iterable[int]) -> int:
    """How many characters each text may have so that all texts of these lengths together fit on a page."""
    known = [length for length in lengths if length]
    limit = MAX_TEXT
    while limit > MIN_TEXT and sum(min(length, limit) for length in known) > MAX_ALL_TEXTS:
        limit = max(MIN_TEXT, limit // 2)
    return limit


def page_value(value: Any, limit: int, *, is_text: bool = False) -> Any:
    """Convert the builtins of a report for its page.

    A text with more than ``limit`` characters becomes ``{"text": its beginning, "length": that of the whole}``.
    """
    if isinstance(value, str):
        return _text(value, limit) if is_text else _name(value, MAX_NAME)
    if isinstance(value, Mapping):
        return {
            encodable(name): page_value(item, limit, is_text=name in _TEXTS)
            for name, item in value.items()
            if item is not None
        }
    if isinstance(value, list | tuple):
        return [page_value(item, limit, is_text=is_text) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > MAX_EXACT else value


def page_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a manifest, cut to what a page can show; an ellipsis marks what is left out."""
    nodes_left = _MAX_NODES

    def branch(value: Any, depth: int) -> Any:
        nonlocal nodes_left
        nodes_left -= 1
        if isinstance(value, Mapping | list | tuple) and (depth == 0 or nodes_left < 0):
            return ELLIPSIS
        if isinstance(value, Mapping):
            result = {}
            for name, item in value.items():
                if nodes_left < 0:
                    result[ELLIPSIS] = ELLIPSIS
                    break
                result[_name(name, MAX_NAME)] = branch(item, depth - 1)
            return result
        if isinstance(value, list | tuple):
            items = []
            for item in value:
                if nodes_left < 0:
                    items.append(ELLIPSIS)
                    break
                items.append(branch(item, depth - 1))
            return items
        return _name(value, _MAX_VALUE) if isinstance(value, str) else page_value(value, 0)

    result: dict[str, Any] = branch(tree, _MAX_DEPTH)
    return result


def _text(text: str, limit: int) -> str | dict[str, Any]:
    if len(text) <= limit:
        return encodable(text)
    return {"text": encodable(text[:limit].rstrip()) + ELLIPSIS, "length": len(text)}


def _name(name: str, limit: int) -> str:
    return encodable(name if len(name) <= limit else name[: limit - 1] + ELLIPSIS)
