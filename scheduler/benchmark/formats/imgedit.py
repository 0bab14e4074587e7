"""ImgEdit-Bench, basic: ``basic_edit.json`` (``singleturn.json`` of its download) and image files, or a Parquet mirror.

Its images come as an archive, which unpacks to ``Benchmark/singleturn``: they are looked for there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Format, Item, Value
from scheduler.benchmark.formats.official import data_file, has_file
from scheduler.benchmark.pairs import ImageOpener
from scheduler.benchmark.records.json_records import read_members
from scheduler.benchmark.records.record import Record, value_of
from scheduler.benchmark.records.table_files import table_suffix
from scheduler.benchmark.records.table_records import column_names, read_table

LISTS = ("basic_edit.json", "singleturn.json")
FOLDERS = ("", "singleturn", "Benchmark/singleturn")


COLUMNS = ("key", "edit_type", "prompt", "image")
"""Of the mirror kcz358/imgedit on the Hub."""


def detect(path: Path) -> bool:
    return has_file(path, *LISTS) or {*COLUMNS} <= {*column_names(path)}


def read(path: Path) -> Iterator[Item]:
    if table_suffix(path) is not None and not has_file(path, *LISTS):
        for row in read_table(path):
            yield _item(row, value_of(row.name, "key"), row.image((), "image"))
        return
    file, folder = data_file(path, *LISTS)
    folders = [folder / name for name in FOLDERS]
    for record in read_members(file):
        yield _item(record, value_of(record.own_name), record.image(folders, "id"))


def _item(record: Record, pair_id: Value, image: ImageOpener) -> Item:
    return Item(
        pair_id=pair_id,
        category=value_of(record.name, "edit_type"),
        instruction=value_of(record.instruction, "prompt"),
        image=image,
        problem=record.problem,
        facts=record.facts(("id",), besides=("prompt", "image")),
    )


FORMAT = Format(
    "imgedit", "ImgEdit-Bench, basic: basic_edit.json, and image files; or a mirror in Parquet.", read, detect
)
