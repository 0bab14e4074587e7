"""GEdit-Bench: its data set on the Hub as downloaded, or as the ``datasets`` library saves it, in Arrow or Parquet.

``input_image`` is what is edited, and what the judge is shown as the source (the authors' answer in the issue 41 of
their repository); ``input_image_raw``, the photo that it was made of, is not used. Mirrors call it ``source_image``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Format, Item
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.records.record import Record, value_of
from scheduler.benchmark.records.table_records import PACKAGES, column_names, read_table

COLUMNS = ("key", "task_type", "instruction", "instruction_language", "Intersection_exist")
IMAGES = ("input_image", "source_image", "input_image_raw")
LANGUAGES = ("en", "cn")


def detect(path: Path) -> bool:
    return {*COLUMNS} <= {*column_names(path)}


def read(path: Path) -> Iterator[Item]:
    # The same key in both languages is two items.
    keys = Counter((_known(row, "task_type"), _known(row, "key")) for row in read_table(path))
    both = max(keys.values(), default=1) > 1
    for row in read_table(path):
        yield _item(row, with_language=both)


def _item(record: Record, *, with_language: bool) -> Item:
    language = value_of(record.text, "instruction_language")
    problem = None
    if language not in LANGUAGES:
        problem, language = PairError("bad_field", "instruction_language is not one of en, cn"), None
    key = value_of(record.name, "key")
    belongs = value_of(record.value, "Intersection_exist")
    if not (isinstance(belongs, int) and belongs in (0, 1)):
        problem = problem or PairError("bad_field", "Intersection_exist is not one of true, false")
    return Item(
        pair_id=f"{key}-{language}" if with_language and isinstance(key, str) and language else key,
        category=value_of(record.name, "task_type"),
        instruction=value_of(record.instruction, "instruction"),
        image=record.image((), *IMAGES[:2]),
        problem=problem,
        language=language,
        subsets=("full", "intersection") if belongs == 1 else ("full",),
        facts=record.facts(("Intersection_exist", "key"), besides=("task_type", "instruction", *IMAGES)),
    )


def _known(record: Record, name: str) -> str | None:
    value = value_of(record.name, name)
    return value if isinstance(value, str) else None


FORMAT = Format(
    "gedit",
    "GEdit-Bench: its data set in Arrow or Parquet files.",
    read,
    detect,
    packages=PACKAGES,
    languages=LANGUAGES,
    subsets=("full", "intersection"),
)
