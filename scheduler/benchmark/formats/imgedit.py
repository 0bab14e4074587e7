"""ImgEdit-Bench, basic: ``basic_edit.json`` (``singleturn.json`` of its download) and image files, or a Parquet mirror.

Its images come as an archive, which unpacks to ``Benchmark/singleturn``: they are looked for there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Format, Item
from scheduler.benchmark.formats.official import data_file, has_file
from scheduler.benchmark.records.json_records import read_members
from scheduler.benchmark.records.record import value_of

LISTS = ("basic_edit.json", "singleturn.json")
FOLDERS = ("", "singleturn", "Benchmark/singleturn")


def detect(path: Path) -> bool:
    return has_file(path, *LISTS)


def read(path: Path) -> Iterator[Item]:
    file, folder = data_file(path, *LISTS)
    folders = [folder / name for name in FOLDERS]
    for record in read_members(file):
        yield Item(
            pair_id=value_of(record.own_name),
            category=value_of(record.name, "edit_type"),
            instruction=value_of(record.instruction, "prompt"),
            image=record.image(folders, "id"),
            problem=record.problem,
            facts=record.facts(("id",), besides=("prompt",)),
        )


FORMAT = Format("imgedit", "ImgEdit-Bench, basic: basic_edit.json, and image files.", read, detect)
