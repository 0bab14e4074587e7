"""JSON Lines, or a JSON list or object of items: fields of any names, images by path or in base64."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Category, FieldMap, Format, Item
from scheduler.benchmark.formats.general import items_of
from scheduler.benchmark.records.json_records import read_any

SUFFIXES = (".jsonl", ".ndjson")


def detect(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.name != "metadata.jsonl" and path.is_file()


def read(path: Path, fields: FieldMap | None = None) -> Iterator[Category | Item]:
    yield from items_of(read_any(path.absolute()), (path.parent,), fields or FieldMap())


FORMAT = Format("jsonl", "JSON Lines, or a JSON list: images by path or in base64.", read, detect, read_fields=read)
