"""Makes items of records whose fields have any names: what the general formats share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from scheduler.benchmark.formats.declaration import FieldMap, Item
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import DataError, ImageOpener, PairError
from scheduler.benchmark.records.record import Record, value_of

USUAL = {
    "id": ("id", "pair_id", "key", "index"),
    "category": ("category", "edit_type", "task_type"),
    "instruction": ("instruction", "edit_instruction", "prompt"),
    "image": ("image", "source_image", "input_image", "image_path", "file_name", "original_image_b64"),
}
"""The names of the fields where the config has none, the first one that the first record has."""

CATEGORY = "all"
"""The category of all items where no field has one."""


class _Names(Struct, frozen=True):
    """The field of each purpose; no id: the number of the record; no category: ``CATEGORY``."""

    instruction: str
    image: str
    id: str | None
    category: str | None
    described: FieldMap


def items_of(records: Iterable[Record], folders: Sequence[Path], fields: FieldMap) -> Iterator[Item]:
    """Read the items; images that are files lie within one of these folders.

    Raises ``DataError`` if the records lack a field that the config names, or that every item needs.
    """
    names: _Names | None = None
    unseen = {name: key for key, name in _named(fields)}
    there: dict[str, None] = {}
    for number, record in enumerate(records):
        if names is None and record.problem is None:
            names = _names(fields, record)
        if unseen or len(there) < 20:
            there |= dict.fromkeys(list(record.names)[:20])
            unseen = {name: key for name, key in unseen.items() if name not in record.names}
        yield _item(record, number, names or _names(fields, None), folders)
    if unseen and there:
        name, key = next(iter(unseen.items()))
        raise DataError(f"no item has the field {shown(name)} of benchmark.fields.{key}; there are {_listed(there)}")


def _named(fields: FieldMap) -> Iterator[tuple[str, str]]:
    """Yield each key of ``benchmark.fields`` with each name that it has."""
    for key, value in structs.asdict(fields).items():
        for name in (value,) if isinstance(value, str) else value or ():
            yield key, name


def _names(fields: FieldMap, record: Record | None) -> _Names:
    def usual(key: str) -> str | None:
        given: str | None = getattr(fields, key)
        return given or next((name for name in USUAL[key] if record is None or name in record.names), None)

    instruction, image = usual("instruction"), usual("image")
    if (instruction is None or image is None) and record is not None:
        lacking = "instruction" if instruction is None else "image"
        raise DataError(
            f"its first item has none of the fields {', '.join(USUAL[lacking])}, but {_listed(record.names)}; set "
            f"benchmark.fields.{lacking} to the name of its {lacking}"
        )
    return _Names(instruction or "instruction", image or "image", usual("id"), usual("category"), fields)


def _item(record: Record, number: int, names: _Names, folders: Sequence[Path]) -> Item:
    def text(name: str | None) -> Any:
        return None if name is None else value_of(record.text, name)

    fields = names.described
    found = [value_of(record.images, folders, name) for name in (names.image, *fields.sources)]
    first, *more = ([] if isinstance(images, PairError) else images for images in found)
    sources = [*first[1:], *(image for images in more for image in images)]
    return Item(
        pair_id=value_of(record.name, names.id) if names.id is not None else value_of(record.own_name) or str(number),
        category=CATEGORY if names.category is None else value_of(record.name, names.category),
        instruction=value_of(record.instruction, names.instruction),
        image=first[0] if first else record.image(folders, names.image),
        description=text(fields.description),
        reference=text(fields.reference),
        problem=record.problem or next((images for images in found if isinstance(images, PairError)), None),
        images={
            **{f"source_{number}": image for number, image in enumerate(sources, 2)},
            **dict(_images(record, fields, folders)),
        },
        task=text(fields.task),
        facts={name: value_of(record.value, name) for name in fields.facts if name in record.names},
    )


def _images(record: Record, fields: FieldMap, folders: Sequence[Path]) -> Iterator[tuple[str, ImageOpener]]:
    """Yield the images that the item has beside its sources."""
    named = [("reference", fields.reference_image), ("ground_truth", fields.ground_truth), ("mask", fields.mask)]
    for image, name in named:
        if name is not None and not record.is_null(name):
            yield image, record.image(folders, name)


def _listed(names: Iterable[str]) -> str:
    listed = [shown(name) for name in names]
    return ", ".join(listed[:20]) + (", ..." if len(listed) > 20 else "") or "no fields"
