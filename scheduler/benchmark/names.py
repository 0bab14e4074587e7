"""Which ids, category names and texts are accepted, and the stand-in of an id that cannot be used.

A name becomes part of a key (``category/pair_id``), of file names and of lines on the terminal. Format characters
(Unicode category Cf) are accepted, since emoji and several scripts need them; they are shown as escapes. Halves of
surrogate pairs are refused: UTF-8 cannot encode them.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict

from scheduler.base.text import one_line
from scheduler.benchmark.pairs import BadKind, PairError

MAX_NAME = 200
MAX_TEXT = 100_000
"""The longest instruction, description or reference, in characters."""


def name_problem(name: str) -> str | None:
    """Return why this text cannot be an id or a category name, as the end of a sentence; null if it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"{shown(name)} has {len(name)} characters; at most {MAX_NAME} are accepted"
    if name in {".", ".."}:
        return f"{shown(name)} is the name of a folder"
    if "/" in name or "\\" in name:
        return f"{shown(name)} holds a slash or backslash"
    categories = {unicodedata.category(character) for character in name}
    if "Cc" in categories:
        return f"{shown(name)} holds a control character"
    if "Cs" in categories:
        return f"{shown(name)} is not valid UTF-8 text"
    return None


def checked_name(value: object, what: str) -> str:
    """Return the id or category name. Raises the value if it is a ``PairError``, ``bad_id`` if it cannot be used."""
    name = _text(value, what, "bad_id")
    if name is None:
        raise PairError("bad_id", f"{what} is missing")
    problem = name_problem(name)
    if problem:
        raise PairError("bad_id", f"{what} {problem}")
    return name


def checked_text(value: object, what: str) -> str | None:
    """Return the text, or None. Raises the value if it is a ``PairError``, ``bad_field`` if it cannot be used."""
    text = _text(value, what, "bad_field") or ""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PairError("bad_field", f"{what} is not valid UTF-8 text") from error
    if len(text) > MAX_TEXT:
        raise PairError("bad_field", f"{what} has {len(text)} characters; at most {MAX_TEXT} are accepted")
    return None if value is None else text


def _text(value: object, what: str, kind: BadKind) -> str | None:
    if isinstance(value, PairError):
        raise value
    if value is not None and not isinstance(value, str):
        raise PairError(kind, f"{what} is of the type {type(value).__name__}; expected text")
    return value


def shown(name: str) -> str:
    """Return the name for a message: in quotes, on one line, cut."""
    return f"'{one_line(name, 60)}'"


class PairIds:
    """The ids of each category, and free ones for items that need another."""

    def __init__(self) -> None:
        self._positions: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._last_numbers: dict[tuple[str, str], int] = {}  # without it, 1000 equal ids take a million look-ups

    def claim(self, category: str, pair_id: str, position: int) -> int | None:
        """Give the id to the item at this position; return the position of another item that has it, else None."""
        owner = self._positions[category].setdefault(pair_id, position)
        return None if owner == position else owner

    def stand_in(self, category: str, wanted: str, *, twice: bool) -> str:
        """Return ``wanted``, or ``wanted#2``, ``#3``... if it is taken (always for an id that came twice).

        To be called after all claims: a stand-in must not take the id of a later item.
        """
        taken = self._positions[category]
        number = self._last_numbers.get((category, wanted), 1)
        name = wanted
        while name in taken or (twice and name == wanted):
            number += 1
            name = f"{wanted}#{number}"
        self._last_numbers[category, wanted] = number
        taken[name] = -1
        return name
