"""The device time that edits of unequal length cost at barriers."""

from __future__ import annotations

from collections.abc import Sequence


def barrier_loss(seconds: Sequence[float], at_once: int) -> float:
    """Device seconds that workers wait at barriers if edits with these durations run in this order.

    Each round has ``at_once`` edits and lasts as long as its longest: the loss is ``sum over rounds of
    sum(max(round) - s for s in round)``. A last round that is not full is not counted.
    """
    rounds = (seconds[start : start + at_once] for start in range(0, len(seconds) - at_once + 1, at_once))
    return sum((max(durations) * len(durations) - sum(durations) for durations in rounds), 0.0)
