"""ImgEdit-Bench, basic and UGE: all edits in one folder, named by their keys."""

from scheduler.benchmark.layouts.declaration import FolderLayout, Names, PlacedPair


def place(pair: PlacedPair) -> Names:
    return (pair.pair_id,)


LAYOUT = FolderLayout(
    "imgedit",
    "ImgEdit-Bench, basic and UGE: <key>.png.",
    place,
    formats=("imgedit", "imgedit_uge"),
    aliases=("imgedit_uge",),
)
