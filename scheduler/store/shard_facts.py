"""What a manifest says about the shard that its run is, under ``shard``; null if the run is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from scheduler.base.shard import Shard
from scheduler.benchmark.pairs import Benchmark


class ShardFacts(Struct, frozen=True):
    """The shard, and the number of its pairs, bad ones included."""

    shard: Shard
    pairs: int


def recorded_shard(benchmark: Benchmark) -> dict[str, Any] | None:
    """Return what the manifest of a run of this benchmark says."""
    if benchmark.shard is None:
        return None
    return {"number": benchmark.shard.number, "of": benchmark.shard.count, "pairs": len(benchmark.items)}


def shard_note(shard: Shard) -> str:
    """Return the note at the top of the report of a shard."""
    return f"This is shard {shard} of the benchmark: `warmbench merge` makes one report of all shards."


def shard_facts(manifest: Mapping[str, Any]) -> ShardFacts | None:
    """Return what the manifest says; None if its run is no shard, or if it does not have this form."""
    block = manifest.get("shard")
    if not isinstance(block, Mapping):
        return None
    numbers = [block.get(name) for name in ("number", "of", "pairs")]
    if not all(isinstance(number, int) for number in numbers):
        return None
    number, count, pairs = (int(number or 0) for number in numbers)
    return ShardFacts(Shard(number, count), pairs) if 1 <= number <= count else None
