"""GEdit-Bench: ``fullset/{task}/{language}/{key}.png``, the source beside it as ``{key}_SRCIMG.png``."""

from scheduler.benchmark.layouts.declaration import FolderLayout, Names, PlacedPair


def place(pair: PlacedPair) -> Names:
    # Where both languages of an item have one key, the pairs' ids end with the language.
    key = pair.facts.get("key")
    return "fullset", pair.category, pair.needed_language(), key if isinstance(key, str) else pair.pair_id


LAYOUT = FolderLayout(
    "gedit",
    "GEdit-Bench: fullset/<task>/<language>/<key>.png, with <key>_SRCIMG.png beside it.",
    place,
    formats=("gedit",),
    source_suffix="_SRCIMG",
)
