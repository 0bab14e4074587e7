"""KRIS-Bench, as Bagel's fork reads it: ``{category}/{id}.png``."""

from scheduler.benchmark.layouts.declaration import FolderLayout, Names, PlacedPair


def place(pair: PlacedPair) -> Names:
    return pair.category, pair.pair_id


LAYOUT = FolderLayout("kris", "KRIS-Bench: <category>/<id>.png.", place, formats=("kris",))
