"""KRIS-Bench: a folder of categories, each with ``annotation.json`` and image files; or one list, ``final_data.json``.

The list is that of Bagel's evaluation; its images are in the same folders, beside it or in ``KRIS_Bench``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scheduler.benchmark.formats.declaration import Category, Format, Item
from scheduler.benchmark.names import name_problem
from scheduler.benchmark.pairs import DataError, ImageOpener, PairError
from scheduler.benchmark.records.json_records import JsonRecord, read_list, read_members
from scheduler.benchmark.records.record import Record, file_within, value_of

LIST = "final_data.json"
ANNOTATION = "annotation.json"
FOLDER = "KRIS_Bench"
FACTS = ("ori_img", "gt_img", "explain_en")


def detect(path: Path) -> bool:
    return path.name == LIST or (path.is_dir() and ((path / LIST).exists() or bool(_annotations(path))))


def read(path: Path) -> Iterator[Category | Item]:
    annotations = _annotations(path) if path.is_dir() else []
    if annotations:
        for file in annotations:
            yield Category(file.parent.name)
            for record in read_members(file.absolute()):
                yield _item(record, value_of(record.own_name), None, [file.parent])
        return
    file = path / LIST if path.is_dir() else path
    if not file.exists():
        raise DataError(f"there is no {LIST} and no folder with {ANNOTATION} in this folder")
    for record in read_list(file.absolute()):
        category = value_of(record.name, "type")
        folders = [] if isinstance(category, PairError) else _folders(file.parent, category)
        yield _item(record, value_of(record.name, "id"), category, folders)


def _annotations(path: Path) -> list[Path]:
    """Return the files of the categories, of this folder or of its ``KRIS_Bench``."""
    for folder in (path, path / FOLDER):
        if found := sorted(folder.glob(f"*/{ANNOTATION}")):
            return found
    return []


def _folders(root: Path, category: str) -> list[Path]:
    return [] if name_problem(category) else [root / category, root / FOLDER / category]


def _item(record: JsonRecord, pair_id: Any, category: Any, folders: list[Path]) -> Item:
    sources = value_of(_sources, record)
    problem = record.problem
    if isinstance(sources, PairError):
        problem, sources = problem or sources, []
    images: dict[str, ImageOpener] = {
        f"source_{number}": file_within(folders, name) for number, name in enumerate(sources[1:], 2)
    }
    if not record.is_null("gt_img") and value_of(record.text, "gt_img") != "":
        images["ground_truth"] = record.image(folders, "gt_img")
    return Item(
        pair_id=pair_id,
        category=category,
        instruction=value_of(record.instruction, "ins_en"),
        image=file_within(folders, sources[0]) if sources else record.image(folders, "ori_img"),
        reference=value_of(record.text, "explain_en"),
        problem=problem,
        images=images,
        facts=record.facts(FACTS, besides=("id", "type", "ins_en")),
    )


def _sources(record: Record) -> list[str]:
    """Return the names of the source images; raises ``PairError`` (``bad_field``)."""
    value = record.value("ori_img")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        found = "missing" if value is None else "neither a text nor a list of texts"
        raise PairError("bad_field", f"ori_img is {found}")
    return names


FORMAT = Format(
    "kris", "KRIS-Bench: folders with annotation.json and images, or final_data.json beside them.", read, detect
)
