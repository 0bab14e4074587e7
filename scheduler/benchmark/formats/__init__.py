"""What a benchmark may be written in: one file per format. A plug-in package brings more as ``warmbench.formats``."""

from scheduler.benchmark.formats.declaration import FORMATS, Category, Format, Item
from scheduler.benchmark.pairs import DataError, PairError
from scheduler.benchmark.sources import image_file

__all__ = ["FORMATS", "Category", "DataError", "Format", "Item", "PairError", "image_file"]
