"""The device time that unequal edits lose at barriers."""

from __future__ import annotations

from collections.abc import Sequence


def barrier_loss(seconds: Sequence[float], at_once: int) -> float:
    """Device seconds that are lost at barriers if edits of these lengths are done in this order, so many at a time.

    It is the loss to unequal lengths alone; the last round is not counted if it is not full.
    """
    rounds = (seconds[start : start + at_once] for start in range(0, len(seconds) - at_once + 1, at_once))
    return sum((max(one) * len(one) - sum(one) for one in rounds), 0.0)
