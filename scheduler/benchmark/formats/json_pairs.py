"""A JSON file with ``{category: [pair, ...]}``, or with a list of pairs that name their category; images in base64."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Category, Format, Item
from scheduler.benchmark.json_items import FieldNames, Fields, ItemReader, image_piece, name_of, reading_json
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import DataError, PairError, SourceImage
from scheduler.benchmark.records.record import value_of
from scheduler.benchmark.sources import EmbeddedSource

FIELDS = FieldNames(
    pair_id=("pair_id", "id"),
    instruction="edit_instruction",
    image="original_image_b64",
    description=("original_description",),
)


def read(path: Path) -> Iterator[Category | Item]:
    file = path.resolve()

    def open_image(fields: Fields, *, thorough: bool) -> SourceImage:
        piece = image_piece(fields, FIELDS)
        return EmbeddedSource.inspect(file, piece.start, piece.length, thorough=thorough)

    with reading_json(file) as cursor:
        reader = ItemReader(cursor, FIELDS, open_image)
        kind = cursor.next_kind()
        if kind == "list":
            yield from reader.items()
        elif kind == "object":
            for number, key in enumerate(cursor.members(), 1):
                name = value_of(name_of, cursor, key, "category")
                kind = cursor.next_kind()
                if kind != "list":
                    where = shown(f"#{number}" if isinstance(name, PairError) else name)
                    raise DataError(
                        f"under {where} it holds a JSON {kind}; expected {{category: [pair, ...]}} or one list of all "
                        "pairs (JSON Lines is not read)"
                    )
                yield Category(name)
                yield from reader.items()
        else:
            raise DataError(f"it holds a JSON {kind}; expected a list of pairs or an object {{category: [pair, ...]}}")
        reader.finish()


FORMAT = Format("json", "A JSON file: {category: [pair, ...]} or a list of pairs, images in base64.", read)
