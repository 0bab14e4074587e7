"""Texts from data as the page holds them: what does not print is made visible, and none is so long that it slows it.

The page sets texts as text, never as HTML: nothing has to be escaped here for that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.base.text import ELLIPSIS, one_line

LONGEST_TEXT = 8_000
"""Characters of one text."""
LONGEST_NAME = 300
_SHORTEST_LIMIT = 500
_ALL_TEXTS = 30_000_000
"""Characters of all texts together, beyond which each is cut shorter."""
_LARGEST_EXACT = 2**53
"""Whole numbers above it are rounded by JavaScript."""

_DEEPEST = 12
_MOST_NODES = 5_000
_LONGEST_VALUE = 2_000

_KEPT = re.compile(r"([\n\t])")

Shown = str | dict[str, Any] | None


def text_limit(lengths: Iterable[int]) -> int:
    """How many characters each text may have, so that all of these lengths together stay within what a page takes."""
    known = [length for length in lengths if length]
    limit = LONGEST_TEXT
    while limit > _SHORTEST_LIMIT and sum(min(length, limit) for length in known) > _ALL_TEXTS:
        limit = max(_SHORTEST_LIMIT, limit // 2)
    return limit


def shown_text(text: str | None, limit: int) -> Shown:
    """The text with its line breaks and tabs, everything else that does not print as an escape.

    One with more than ``limit`` characters becomes ``{"text": its beginning, "length": that of the whole}``.
    """
    if text is None:
        return None
    beginning = text[:limit].replace("\r\n", "\n").replace("\r", "\n")
    shown = "".join(part if _KEPT.match(part) else one_line(part) for part in _KEPT.split(beginning))
    if len(text) <= limit:
        return shown
    return {"text": shown.rstrip() + ELLIPSIS, "length": len(text)}


def shown_name(name: object) -> str:
    """A name on one line: an id, a category, a worker."""
    return one_line(name, LONGEST_NAME)


def shown_number(value: float | None) -> float | None:
    """The number, if JSON can hold it."""
    return value if value is not None and math.isfinite(value) else None


def shown_tree(value: Any) -> Any:
    """Nested values as JSON holds them and a page can show them; says where it left something out."""
    left = [_MOST_NODES]
    return _branch(value, _DEEPEST, left)


def _branch(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if isinstance(value, Mapping | list | tuple) and (depth == 0 or left[0] < 0):
        return ELLIPSIS
    if isinstance(value, Mapping):
        found = {}
        for name, item in value.items():
            if left[0] < 0:
                found[ELLIPSIS] = ELLIPSIS
                break
            found[shown_name(name)] = _branch(item, depth - 1, left)
        return found
    if isinstance(value, list | tuple):
        items = []
        for item in value:
            if left[0] < 0:
                items.append(ELLIPSIS)
                break
            items.append(_branch(item, depth - 1, left))
        return items
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        exact = abs(value) <= _LARGEST_EXACT if math.isfinite(value) else False
        return value if exact else str(value)
    return one_line(value, _LONGEST_VALUE)
