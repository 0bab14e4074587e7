"""RISEBench, version 1 of its file: a folder with ``data_total.json``, a list of items, and the image files that it
names. (Version 2: ``risebench_v2.py``.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Format, Item
from scheduler.benchmark.formats.official import data_file, has_file
from scheduler.benchmark.records.json_records import JsonRecord, read_list
from scheduler.benchmark.records.record import value_of

LIST = "data_total.json"

FACTS = (
    "reference", "reference_txt", "reference_img", "reasoning_img", "reasoning_wo_ins", "consistency_free", "subtask",
)  # fmt: skip
"""The fields that the authors' scripts look at."""


def detect(path: Path) -> bool:
    return has_file(path, LIST)


def read(path: Path) -> Iterator[Item]:
    return read_items(path, LIST)


def read_items(path: Path, file_name: str) -> Iterator[Item]:
    """Read the items of a list that both versions have, with the fields of each."""
    file, folder = data_file(path, file_name)
    for record in read_list(file):
        yield _item(record, folder)


def _item(record: JsonRecord, folder: Path) -> Item:
    has_reference = not record.is_null("reference_img")
    return Item(
        pair_id=value_of(record.name, "index"),
        category=value_of(record.name, "category"),
        instruction=value_of(record.instruction, "instruction"),
        image=record.image((folder,), "image"),
        reference=value_of(record.text, "reference", "reference_txt"),
        problem=record.problem,
        images={"reference": record.image((folder,), "reference_img")} if has_reference else {},
        task=value_of(record.text, "subtask"),
        facts=record.facts(FACTS, besides=("index", "category", "instruction", "image")),
    )


FORMAT = Format("risebench", "A RISEBench folder, or its data_total.json: a list, and image files.", read, detect)
