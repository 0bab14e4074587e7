"""ImgEdit-Bench, UGE (the hard items): ``UGE_edit.json`` and image files.

The archive of its images unpacks to ``Benchmark/hard``: they are looked for there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Category, Format, Item
from scheduler.benchmark.formats.official import data_file, has_file
from scheduler.benchmark.records.json_records import read_members
from scheduler.benchmark.records.record import value_of

LISTS = ("UGE_edit.json",)
FOLDERS = ("", "hard", "Benchmark/hard")
CATEGORY = "uge"
"""The items have no category of their own."""


def detect(path: Path) -> bool:
    return has_file(path, *LISTS)


def read(path: Path) -> Iterator[Category | Item]:
    file, folder = data_file(path, *LISTS)
    folders = [folder / name for name in FOLDERS]
    yield Category(CATEGORY)
    for record in read_members(file):
        yield Item(
            pair_id=value_of(record.own_name),
            category=None,
            instruction=value_of(record.instruction, "prompt"),
            image=record.image(folders, "id"),
            problem=record.problem,
            facts=record.facts(("id",), besides=("prompt",)),
        )


FORMAT = Format("imgedit_uge", "ImgEdit-Bench, UGE: UGE_edit.json, and image files.", read, detect)
