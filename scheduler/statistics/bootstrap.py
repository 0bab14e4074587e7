"""Intervals of numbers that are no plain means: a bootstrap over items.

The items are drawn again with replacement, as many as there are, and the numbers are calculated anew; the interval is
what the middle 95% of the draws give. All that belongs to one item is drawn together. The random numbers have a fixed
seed: the same items give the same interval.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from scheduler.statistics.describe import Interval

Item = TypeVar("Item")

DRAWS = 1000
"""Draws, if there are few items."""
MIN_DRAWS = 200
MAX_WORK = 1_250_000
"""Items of all draws together: with more than 1,250 items there are fewer draws."""
MIN_SHARE = 0.75
"""The share of the draws in which a number has to exist. A single item is missing in 37% of them, two in 14%."""

_SEED = 0


def bootstrap_intervals(
    items: Sequence[Item], numbers: Callable[[Sequence[Item]], Mapping[str, float | None]], *, cost: int = 1
) -> dict[str, Interval]:
    """Return the 95% interval of each number that the items as they are give.

    ``cost`` is how many items each one stands for in the time that ``numbers`` takes. A number that is None in more
    than a quarter of the draws, because no item for it was drawn, has no interval.
    """
    names = [name for name, value in numbers(items).items() if value is not None]
    if len(items) < 2 or not names:
        return {}
    draws = max(MIN_DRAWS, min(DRAWS, MAX_WORK // (len(items) * max(1, cost))))
    values: dict[str, list[float]] = {name: [] for name in names}
    generator = random.Random(_SEED)  # noqa: S311 - statistics
    for _ in range(draws):
        drawn = numbers(generator.choices(items, k=len(items)))
        for name in names:
            value = drawn.get(name)
            if value is not None:
                values[name].append(value)
    return {name: _middle(sorted(found)) for name, found in values.items() if len(found) >= MIN_SHARE * draws}


def _middle(ordered: Sequence[float]) -> Interval:
    """The 2.5th and the 97.5th percentile, linear between neighbours."""
    return _quantile(ordered, 0.025), _quantile(ordered, 0.975)


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
