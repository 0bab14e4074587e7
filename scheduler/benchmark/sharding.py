"""Divides a benchmark into shards: parts for runs of their own, with no pair in two of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from msgspec import structs

from scheduler.base.shard import Shard
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.benchmark.pairs import Benchmark


def shard_of(benchmark: Benchmark, shard: Shard) -> Benchmark:
    """Return the shard's pairs, bad ones included: of each category every ``count``-th one.

    Each category begins with the shard after that of the last pair of the category before, so that sizes differ by at
    most one: within each category, and as a whole. What is known of the data as a whole, its hash too, stays as it is.
    """
    sizes = Counter(item.category for item in benchmark.items)
    place: dict[str, int] = {}
    total = 0
    for category in benchmark.categories:
        place[category] = total
        total += sizes[category]
    chosen: set[int] = set()
    for item in benchmark.items:
        if place[item.category] % shard.count == shard.number - 1:
            chosen.add(item.index)
        place[item.category] += 1
    items = {item.category for item in benchmark.items if item.index in chosen}
    return replace(
        benchmark,
        categories=tuple(category for category in benchmark.categories if category in items),
        pairs=tuple(pair for pair in benchmark.pairs if pair.index in chosen),
        bad=tuple(pair for pair in benchmark.bad if pair.index in chosen),
        shard=shard,
    )


def edits_of(benchmark: Benchmark, edits: EditsElsewhere, samples_per_pair: int) -> EditsElsewhere:
    """Return the edits of this shard, of those of the whole benchmark."""
    keys = benchmark.by_key
    return structs.replace(
        edits,
        asked=len(benchmark.pairs) * samples_per_pair,
        images={unit: path for unit, path in edits.images.items() if unit.key in keys},
        refused={unit: reason for unit, reason in edits.refused.items() if unit.key in keys},
        missing={unit: path for unit, path in edits.missing.items() if unit.key in keys},
    )
