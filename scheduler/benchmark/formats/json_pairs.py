"""A JSON file with ``{category: [pair, ...]}``, or with a list of pairs that name their category; images in base64."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.base.text import counted
from scheduler.benchmark.formats.declaration import Category, Format, Item
from scheduler.benchmark.json_cursor import Cursor
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import DataError, PairError
from scheduler.benchmark.records.json_records import JsonRecord, category_name, finish, reading_json
from scheduler.benchmark.records.record import value_of

PAIR_ID, CATEGORY, DESCRIPTION = ("pair_id", "id"), "category", "original_description"
INSTRUCTION, IMAGE = "edit_instruction", "original_image_b64"
_WANTED = frozenset((*PAIR_ID, CATEGORY, DESCRIPTION, INSTRUCTION, IMAGE))


def read(path: Path) -> Iterator[Category | Item]:
    file = path.resolve()
    count = recognized = 0
    with reading_json(file) as cursor:
        for entry in _entries(file, cursor):
            if isinstance(entry, Category):
                yield entry
                continue
            count += 1
            recognized += not {INSTRUCTION, IMAGE}.isdisjoint(entry.names)
            yield _item(entry)
        finish(cursor)
    if count and not recognized:
        raise DataError(
            f"none of its {counted(count, 'item')} has {IMAGE} or {INSTRUCTION}; expected {{category: [pair, ...]}} or "
            "a list of pairs (a RISEBench list is named data_total.json); for other fields, set benchmark.fields"
        )


def _entries(file: Path, cursor: Cursor) -> Iterator[Category | JsonRecord]:
    kind = cursor.next_kind()
    if kind == "list":
        yield from _records(file, cursor)
    elif kind == "object":
        for number, key in enumerate(cursor.members(), 1):
            name = value_of(category_name, cursor, key)
            kind = cursor.next_kind()
            if kind != "list":
                where = shown(f"#{number}" if isinstance(name, PairError) else name)
                raise DataError(
                    f"under {where} it holds a JSON {kind}; expected {{category: [pair, ...]}} or one list of all "
                    "pairs (for JSON Lines, set benchmark.format to jsonl)"
                )
            yield Category(name)
            yield from _records(file, cursor)
    else:
        raise DataError(f"it holds a JSON {kind}; expected a list of pairs or an object {{category: [pair, ...]}}")


def _records(file: Path, cursor: Cursor) -> Iterator[JsonRecord]:
    return (JsonRecord(file, cursor, wanted=_WANTED) for _ in cursor.items())


def _item(record: JsonRecord) -> Item:
    return Item(
        pair_id=value_of(record.name, *PAIR_ID),
        category=value_of(record.name, CATEGORY),
        instruction=value_of(record.instruction, INSTRUCTION),
        image=record.base64_image(IMAGE),
        description=value_of(record.text, DESCRIPTION),
        problem=record.problem,
    )


FORMAT = Format("json", "A JSON file: {category: [pair, ...]} or a list of pairs, images in base64.", read)
