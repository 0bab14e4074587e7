"""What a protocol knows of an item, from the loaded benchmark."""

from __future__ import annotations

from scheduler.benchmark.pairs import Pair
from scheduler.protocols.declaration import ItemFacts


def facts_of(pair: Pair) -> ItemFacts:
    """Return what a protocol knows of this pair."""
    details = pair.details
    return ItemFacts(
        category=pair.category,
        pair_id=pair.pair_id,
        instruction=pair.instruction,
        reference=pair.reference,
        language=details.language,
        task=details.task,
        subsets=details.subsets,
        images=("source", *details.images),
        facts=details.facts,
    )
