"""RISEBench: ``images/{category}/{index}.png`` in the folder of the model."""

from scheduler.benchmark.layouts.declaration import FolderLayout, Names, PlacedPair


def place(pair: PlacedPair) -> Names:
    return "images", pair.category, pair.pair_id


LAYOUT = FolderLayout(
    "risebench",
    "RISEBench: images/<category>/<index>.png, or .jpg, .jpeg.",
    place,
    formats=("risebench", "risebench_v2"),
    extensions=(".png", ".jpg", ".jpeg"),
)
