"""Reads the score from a reply in words: strictly, since a guessed score is worse than a missing one.

A reply may state its score more than once (a repeated template, reasoning, a conclusion): the last statement counts,
and if that one can't be read, the reply has no score. Two kinds of statement are known:

* a JSON object with one of ``JSON_KEYS``, bare, in a fence or between prose. The shallowest level that has such a key
  counts, so ``{"result": {"score": 7}}`` is read; two different scores on that level are not. A value is a number
  without exponent, or text that is such a number alone (``"7.5"``, ``"7.5/10"``, ``"8分"``).
* a mark (``_MARK``), a colon or equals sign, and the number on the same line (``Score: 7.5``, ``**评分**：8分``). This
  reads JSON that was cut off or is broken as well.

Where there is neither, fractions with the scale's top as denominator (``7.5/10``) are read if all of them agree. A
bare ``8分`` is not read: ``满分10分`` and ``前8分钟`` look the same. Nothing is clamped. Time is linear in the text's
length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from workers.models.thoughts import THOUGHT, THOUGHT_END

JSON_KEYS = frozenset({"score", "评分", "分数", "总分", "得分"})

_NUMBER = r"[-+]?[0-9]{1,6}(?:\.[0-9]{1,12})?"
_DENOMINATOR = rf"[ \t]{{0,4}}[(（]?[ \t]{{0,4}}(?:[/／]|out of)[ \t]{{0,4}}({_NUMBER})"
_VALUE = re.compile(rf"({_NUMBER})[*_]{{0,3}}(?:{_DENOMINATOR}|[ \t]?分(?![钟之]))?")
# What may not follow a score: more digits, a unit, the other end of a range, a second number.
_RUNS_ON = re.compile(
    r"[0-9A-Za-z%％]|[.,/／][0-9]|[ \t]{1,4}[0-9]|[ \t]?分[钟之]"
    r"|[ \t*]{0,4}(?:[-–—~～至到]|to\b|or\b|或)[ \t]{0,4}[0-9]"
)
_MARK = re.compile(
    r"(?:(?<![A-Za-z_])(?:score|rating)|评分|得分|分数)[\"'”’*_`]{0,4}[ \t]{0,4}"
    r"(?:[(（\[][^()（）\[\]\n:：]{0,30}[)）\]])?[ \t*_]{0,4}[:：=][ \t*_\"'“‘`]{0,8}",
    re.IGNORECASE,
)
_FRACTION = re.compile(rf"(?<![0-9A-Za-z./／-])({_NUMBER})[ \t]{{0,4}}[/／][ \t]{{0,4}}({_NUMBER})")
_END_OF_LINE = re.compile(r"[ \t]*(?:\r?\n|$)")
_JSON_TOKEN = re.compile(r'\\.|["{}]', re.DOTALL)


class ReadScore(Struct, frozen=True):
    """A score within the scale, and how it was read."""

    score: float
    method: Literal["json", "marked"]


class Unreadable(Struct, frozen=True):
    """No score can be read from this reply, and why. ``final``: a second question would end the same way."""

    reason: str
    final: bool = False


class _Statement(Struct, frozen=True):
    """A place in the text that states a score; ``value`` is None if it is not a usable number."""

    start: int
    value: float | None
    text: str
    method: Literal["json", "marked"]


class _Number(str):
    """A JSON number as it was written."""


def read_score(
    text: str, low: float, high: float, *, cut_off: bool = False, in_thought: bool = False
) -> ReadScore | Unreadable:
    """Return the score that ``text`` states last, if it lies in ``low`` to ``high``.

    A thought is not read: an answer begins behind ``</think>``. With ``in_thought`` the thought begins before the text.
    With ``cut_off`` (the reply was ended by its token limit) a number that touches the end of the text is not taken:
    it may be the beginning of a longer one.
    """
    answer = spoken_answer(text, in_thought=in_thought, cut_off=cut_off)
    if isinstance(answer, Unreadable):
        return answer
    statements = list(_statements(answer, high, cut_off))
    if not statements:
        return Unreadable("the reply states no score")
    last = max(statements, key=lambda statement: statement.start)
    if last.value is None:
        return Unreadable(f"the reply's score can't be read: {last.text}")
    if not low <= last.value <= high:
        return Unreadable(f"the reply's score {last.text} is outside {low:g} to {high:g}")
    return ReadScore(last.value + 0.0, last.method)  # adding 0.0 turns -0.0 into 0.0


def spoken_answer(text: str, *, in_thought: bool, cut_off: bool) -> str | Unreadable:
    """What a reply says after its thought, or all of it if it has none. The arguments are those of ``read_score``."""
    _, closed, answer = text.rpartition(THOUGHT_END)
    if closed:
        return answer.lstrip()
    if not (in_thought or THOUGHT in text):
        return text
    if cut_off:
        return Unreadable("the reply was cut off within its thought: raise max_new_tokens", final=True)
    return Unreadable("the reply ends before its thought does")


def _statements(text: str, top: float, cut_off: bool) -> Iterator[_Statement]:
    """All statements of a score; bare fractions only if there is no other statement."""
    clear = False
    outside = list(text)
    for start, end, value in _json_objects(text):
        outside[start:end] = " " * (end - start)
        for statement in _in_json(value, start, top):
            clear = True
            yield statement
    rest = "".join(outside)
    for mark in _MARK.finditer(rest):
        if _END_OF_LINE.match(rest, mark.end()) and not cut_off:
            continue  # a heading
        clear = True
        yield _Statement(mark.start(), *_value_at(rest, mark.end(), top, cut_off), "marked")
    if not clear:
        yield from _fractions(rest, top, cut_off)


def _json_objects(text: str) -> Iterator[tuple[int, int, Any]]:
    """The outermost complete JSON objects: start, end, content."""
    open_braces: list[int] = []
    spans: list[tuple[int, int]] = []
    in_string = False
    for token in _JSON_TOKEN.finditer(text):
        symbol = token.group() if in_string else token.group()[-1]
        if symbol == '"' and open_braces:
            in_string = not in_string
        elif in_string:
            continue
        elif symbol == "{":
            open_braces.append(token.end() - 1)
        elif symbol == "}" and open_braces:
            start = open_braces.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, token.end()))
    decoder = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=lambda _: None, strict=False)
    for start, end in spans:
        try:
            yield start, end, decoder.decode(text[start:end])
        except (ValueError, RecursionError):
            continue


def _in_json(value: Any, start: int, top: float) -> Iterator[_Statement]:
    """The statement of one JSON object, if it has one: from the shallowest level with a key of a score."""
    level = [value]
    while level:
        objects = [node for node in level if isinstance(node, dict)]
        values = [
            child
            for node in objects
            for key, child in node.items()
            if key.strip().lower() in JSON_KEYS and not isinstance(child, dict)
        ]
        if values:
            readings = [_json_value(child, top) for child in values]
            if len(set(readings)) == 1:
                yield _Statement(start, readings[0], _shown(values[0]), "json")
            else:
                yield _Statement(start, None, "several on one level: " + ", ".join(map(_shown, values[:3])), "json")
            return
        level = [child for node in objects for child in node.values()]
        level += [child for node in level if isinstance(node, list) for child in node]


def _json_value(value: Any, top: float) -> float | None:
    if not isinstance(value, str):
        return None
    number, _ = _value_at(value.strip(), 0, top, cut_off=False, whole=True)
    return number


def _value_at(text: str, start: int, top: float, cut_off: bool, *, whole: bool = False) -> tuple[float | None, str]:
    """The number that begins at ``start`` (None if it is not one number of this scale), and the text there."""
    match = _VALUE.match(text, start)
    if match is None:
        return None, _shown(text[start : start + 20])
    number, denominator = match.groups()
    end = match.end()
    if _RUNS_ON.match(text, end) or (whole and end != len(text)) or (cut_off and end == len(text)):
        return None, _shown(text[start : end + 10])
    if denominator is not None and float(denominator) != top:
        return None, _shown(match.group())
    return float(number), _shown(match.group())


def _fractions(text: str, top: float, cut_off: bool) -> Iterator[_Statement]:
    fractions = [
        _Statement(match.start(), float(match[1]), match.group(), "marked")
        for match in _FRACTION.finditer(text)
        if float(match[2]) == top
        and not _RUNS_ON.match(text, match.end())
        and not (cut_off and match.end() == len(text))
    ]
    if len({statement.value for statement in fractions}) > 1:
        yield _Statement(fractions[-1].start, None, ", ".join(statement.text for statement in fractions[:3]), "marked")
    else:
        yield from fractions[-1:]


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"a {type(value).__name__}"
    text = str(value)
    return repr(text if len(text) <= 40 else text[:40] + "…")
