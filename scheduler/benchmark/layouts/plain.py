"""The layout of a run's own images: a folder for each category."""

from scheduler.base.files import file_name
from scheduler.benchmark.layouts.declaration import FolderLayout, Names, PlacedPair


def place(pair: PlacedPair) -> Names:
    return file_name(pair.category), file_name(pair.pair_id)


LAYOUT = FolderLayout("plain", "As a run's own images: <category>/<pair_id>.png.", place)
