"""An image folder as the Hub has it: image files, and ``metadata.jsonl`` with their names and further fields."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Category, FieldMap, Format, Item
from scheduler.benchmark.formats.general import items_of
from scheduler.benchmark.formats.official import data_file, has_file
from scheduler.benchmark.records.json_records import read_lines

LIST = "metadata.jsonl"


def detect(path: Path) -> bool:
    return has_file(path, LIST)


def read(path: Path, fields: FieldMap | None = None) -> Iterator[Category | Item]:
    file, folder = data_file(path, LIST)
    yield from items_of(read_lines(file), (folder,), fields or FieldMap())


FORMAT = Format(
    "imagefolder", "An image folder of the Hub: metadata.jsonl, and image files.", read, detect, read_fields=read
)
