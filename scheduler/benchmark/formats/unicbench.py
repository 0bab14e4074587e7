"""UnicBench: ``test_data.jsonl``, with instructions in English and Chinese, and the image files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Format, Item
from scheduler.benchmark.formats.official import data_file, has_file
from scheduler.benchmark.records.json_records import read_lines
from scheduler.benchmark.records.record import Record, value_of
from scheduler.benchmark.records.table_files import table_suffix
from scheduler.benchmark.records.table_records import column_names, read_table

LIST = "test_data.jsonl"
LANGUAGES = ("en", "cn")
FACTS = ("task", "subtask", "reasoning_points")


def detect(path: Path) -> bool:
    return has_file(path, LIST) or {"key", "task", "subtask", *LANGUAGES} <= {*column_names(path)}


def read(path: Path) -> Iterator[Item]:
    if table_suffix(path) is not None and not has_file(path, LIST):
        for row in read_table(path):
            yield _item(row, path)
        return
    file, folder = data_file(path, LIST)
    for record in read_lines(file):
        yield _item(record, folder)


def _item(record: Record, folder: Path) -> Item:
    """Return the item of a line, or of a row of the data set on the Hub, whose images are in ``image``."""
    return Item(
        pair_id=value_of(record.name, "key"),
        category=value_of(record.name, "subtask"),
        instruction={language: value_of(record.instruction, language) for language in LANGUAGES},
        image=record.image((folder,), "image", "image_path"),
        problem=record.problem,
        task=value_of(record.text, "task"),
        facts=record.facts(FACTS, besides=("key", "image", *LANGUAGES)),
    )


FORMAT = Format(
    "unicbench",
    "UnicBench: test_data.jsonl, and image files; or its data set on the Hub.",
    read,
    detect,
    languages=LANGUAGES,
)
