"""How KRIS-Bench's scripts, in Bagel's fork, read scores out of replies.

Each module of the fork has its own reader. What all of them do without a score in JSON is to take the first number that
looks like one, the digit of a numbered list included: that is deterministic, and done here as well.
"""

from __future__ import annotations

import json
import re
from typing import Any

from scheduler.protocols.declaration import UnreadableReply

_UNUSABLE = (ValueError, TypeError, OverflowError, RecursionError)
"""What JSON raises whose score is no whole number."""
_ANYWHERE = (r"([1-5])\s*/\s*5", r"([1-5])\s+out\s+of\s+5", r"\b([1-5])\b")


def common_score(reply: str, name: str) -> float:
    """Return the score of this name (``consistency``) as ``metrics_common`` and ``metrics_view_change`` read it.

    An unusable score in JSON is as none at all. Raises ``UnreadableReply``.
    """
    return _known(_json_score(reply, name), _first_number(reply, name, named=True))


def plain_score(reply: str, name: str) -> float:
    """Return the score as ``metrics_temporal_prediction`` and ``metrics_multi_element`` read it.

    Without JSON, the score's name does not help to find it. Raises ``UnreadableReply``.
    """
    return _known(_json_score(reply, name), _first_number(reply, name, named=False))


def knowledge_score(reply: str, name: str) -> float:
    """Return the score as ``metrics_knowledge`` reads it: null in JSON is final. Raises ``UnreadableReply``."""
    block = _block(reply, name)
    if block is not None:
        try:
            value = json.loads(block).get(f"{name}_score")
            return _known(None if value is None else int(value))
        except _UNUSABLE:
            pass
    return _known(_first_number(reply, name, named=True))


def dual_scores(reply: str) -> tuple[float, float]:
    """Return the scores for the instruction and the knowledge; raises ``UnreadableReply`` if one is missing."""
    data = _json(reply)
    if data is _NONE:
        data = _json(_balanced(reply) or "")
    if data is not _NONE and data:
        if not isinstance(data, dict):
            raise UnreadableReply("the reply is JSON, but no object")
        return _whole(data, "instruction_score"), _whole(data, "knowledge_score")
    found = [
        re.search(rf'"?{name}[_\s]*score"?\s*:\s*([1-5])', reply, re.IGNORECASE)
        for name in ("instruction", "knowledge")
    ]
    instruction, knowledge = (_known(None if match is None else int(match[1])) for match in found)
    return instruction, knowledge


_NONE: Any = object()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NONE


def _whole(data: dict[str, Any], name: str) -> float:
    value = data.get(name)
    try:
        return _known(None if value is None else int(value))
    except _UNUSABLE as error:
        raise UnreadableReply(f"{name} is no number") from error


def _json_score(reply: str, name: str) -> int | None:
    block = _block(reply, name)
    try:
        value = None if block is None else json.loads(block).get(f"{name}_score")
        return None if value is None else int(value)
    except _UNUSABLE:
        return None


def _block(reply: str, name: str) -> str | None:
    """Return the first pair of braces, with none within, that holds the score's name."""
    return next((block for block in re.findall(r"\{[^{}]*\}", reply) if f"{name}_score" in block), None)


def _balanced(text: str) -> str | None:
    """Return the first braces with all that is within them."""
    depth = start = 0
    for match in re.finditer("[{}]", text):
        if match[0] == "{":
            start = start if depth else match.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                return text[start : match.end()]
    return None


def _first_number(reply: str, name: str, *, named: bool) -> int | None:
    patterns = (rf"{name}[_\s]*score\s*(?:[:：]\s*)?([1-5])", *_ANYWHERE) if named else _ANYWHERE
    for pattern in patterns:
        if match := re.search(pattern, reply, re.IGNORECASE):
            return int(match[1])
    return None


def _known(*values: int | None) -> float:
    """Return the first that there is."""
    for value in values:
        if value is not None:
            if abs(value) > 1e9:
                raise UnreadableReply("the reply has a score of more than nine digits")
            return float(value)
    raise UnreadableReply("the reply has no score")
