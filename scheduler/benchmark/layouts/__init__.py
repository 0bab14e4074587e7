from scheduler.benchmark.layouts.declaration import LAYOUTS, FolderLayout, Names, PlacedPair, UnsuitablePairError

__all__ = ["LAYOUTS", "FolderLayout", "Names", "PlacedPair", "UnsuitablePairError"]
