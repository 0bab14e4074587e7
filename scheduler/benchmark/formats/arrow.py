"""Arrow files with images, as the ``datasets`` library saves them: one file, or the shards of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Category, FieldMap, Format, Item
from scheduler.benchmark.formats.general import items_of
from scheduler.benchmark.records.table_files import table_suffix
from scheduler.benchmark.records.table_records import PACKAGES, read_table


def detect(path: Path) -> bool:
    return table_suffix(path) == ".arrow"


def read(path: Path, fields: FieldMap | None = None) -> Iterator[Category | Item]:
    folder = path if path.is_dir() else path.parent
    yield from items_of(read_table(path), (folder,), fields or FieldMap())


FORMAT = Format(
    "arrow",
    "Arrow with embedded images: a file, or what the datasets library has saved.",
    read,
    detect,
    packages=PACKAGES,
    read_fields=read,
)
