"""UnicBench: ``{subtask}/{language}/{key}.png``, the words of the subtask joined with ``_``."""

from scheduler.benchmark.layouts.declaration import FolderLayout, Names, PlacedPair


def place(pair: PlacedPair) -> Names:
    return "_".join(pair.category.split()), pair.needed_language(), pair.pair_id


LAYOUT = FolderLayout("unicbench", "UnicBench: <subtask>/<language>/<key>.png.", place, formats=("unicbench",))
