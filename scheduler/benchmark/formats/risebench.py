"""RISEBench: a folder with ``data_total.json``, a list of items, and the image files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Category, Format, Item
from scheduler.benchmark.json_items import FieldNames, Fields, ItemReader, image_piece, read_text, reading_json
from scheduler.benchmark.pairs import DataError, SourceImage
from scheduler.benchmark.sources import image_file

LIST = "data_total.json"
FIELDS = FieldNames(
    pair_id=("index",), instruction="instruction", image="image", reference=("reference", "reference_txt")
)


def detect(path: Path) -> bool:
    return path.name == LIST or (path / LIST).exists()


def read(path: Path) -> Iterator[Category | Item]:
    try:
        file = (path / LIST if path.is_dir() else path).resolve(strict=True)
    except FileNotFoundError as error:
        raise DataError(f"there is no {LIST} in this folder") from error
    if not file.is_file():
        raise DataError("this is neither a file nor a folder")
    with reading_json(file) as cursor:

        def open_image(fields: Fields, *, thorough: bool) -> SourceImage:
            image_piece(fields, FIELDS)
            name = read_text(cursor, fields, FIELDS.image) or ""
            return image_file(file.parent, name)(thorough=thorough)

        reader = ItemReader(cursor, FIELDS, open_image)
        kind = cursor.next_kind()
        if kind != "list":
            raise DataError(f"it holds a JSON {kind}; expected a list of pairs")
        yield from reader.items()
        reader.finish()


FORMAT = Format("risebench", "A RISEBench folder, or its data_total.json: a list, and image files.", read, detect)
