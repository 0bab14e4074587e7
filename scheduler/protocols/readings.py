"""What the protocols share: which values count as scores, and means that are only had whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from scheduler.base.text import counted
from scheduler.protocols.declaration import JudgedItem, UnreadableReply

_LARGEST = 1e6


def score_value(value: Any) -> float:
    """Return a number that a reply gives as a score. One outside of the scale counts, as in the authors' scripts.

    Raises:
        UnreadableReply: it is no number, or one that has no geometric mean (negative, infinite, not a number).
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableReply(f"the score is no number but {type(value).__name__}")
    if not 0 <= value <= _LARGEST:  # false for NaN
        raise UnreadableReply(f"the score {value!r:.40} is not usable")
    return float(value)


def whole_mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, exactly rounded, in any order; None if there is no value or one is missing."""
    numbers = list(values)
    present = [number for number in numbers if number is not None]
    if not present or len(present) < len(numbers):
        return None
    return math.fsum(present) / len(present)


def off_scale(items: Sequence[JudgedItem], low: float, high: float) -> tuple[str, ...]:
    """Return the sentence about dimensions outside of the scale, if there are any."""
    count = sum(any(not low <= value <= high for value in judged.dimensions.values()) for judged in items)
    sentence = f"The judge gave {count} of {counted(len(items), 'item')} a score outside of {low:g} to {high:g}"
    return (f"{sentence}, used as it is.",) if count else ()
