"""Items of a JSON list: which fields they have, and where the values lie. Formats that are JSON share it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scheduler.base.text import CONVERT, counted, is_gbk
from scheduler.benchmark.formats.declaration import Item
from scheduler.benchmark.json_cursor import Cursor, JsonError, Piece
from scheduler.benchmark.names import MAX_NAME, MAX_TEXT, checked_name, checked_text
from scheduler.benchmark.pairs import DataError, PairError, SourceImage
from scheduler.benchmark.records.record import value_of

_BYTES_PER_CHARACTER = 12  # an astral character written as two escapes
_PIECE = 1 << 20
_INTEGER = re.compile(rb"-?[0-9]+")


@dataclass(frozen=True)
class FieldNames:
    """The names of the fields in a format. Of several names the first one that an item has counts."""

    pair_id: tuple[str, ...]
    instruction: str
    image: str
    description: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    category: str = "category"

    @property
    def known(self) -> frozenset[str]:
        return frozenset(
            (*self.pair_id, self.category, self.instruction, self.image, *self.description, *self.reference)
        )


@dataclass(frozen=True)
class Fields:
    """The known fields of one item; ``twice`` has the names of those that occur again.

    ``kind`` is the JSON kind of the item; one that is no object has no fields.
    """

    kind: str
    values: Mapping[str, Piece]
    twice: frozenset[str]

    def get(self, *names: str) -> tuple[str, Piece | None]:
        """Return the first of these fields that is there and not null, with its name; else the first name and None."""
        for name in names:
            piece = self.values.get(name)
            if piece is not None and piece.kind != "null":
                return name, piece
        return names[0], None


@contextmanager
def reading_json(file: Path) -> Iterator[Cursor]:
    """Open the file. Raises ``DataError``, also in the block, if it is not JSON."""
    try:
        with file.open("rb", buffering=0) as raw:
            yield Cursor(raw)
    except JsonError as error:
        message = f"this is no JSON that can be read: {error}"
        # The second byte of a character in GBK may be a backslash, which hides the end of a string.
        if CONVERT not in message and is_gbk(partial(_pieces, file)):
            message += f"; its texts are not UTF-8: {CONVERT}"
        raise DataError(message) from error


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as raw:
        while piece := raw.read(_PIECE):
            yield piece


class ItemReader:
    """Reads the lists of one file, item by item."""

    def __init__(self, cursor: Cursor, names: FieldNames, open_image: Callable[..., SourceImage]) -> None:
        """``open_image`` takes an item's ``Fields``, and then is an ``ImageOpener``."""
        self._cursor = cursor
        self._names = names
        self._open_image = open_image
        self._count = 0
        self._recognized = False

    def items(self) -> Iterator[Item]:
        """Read the list that comes next."""
        cursor, names = self._cursor, self._names
        for _ in cursor.items():
            fields = read_fields(cursor, names)
            self._count += 1
            self._recognized |= not fields.values.keys().isdisjoint({names.image, names.instruction})
            yield Item(
                pair_id=value_of(read_name, cursor, fields, *names.pair_id),
                category=value_of(read_name, cursor, fields, names.category),
                instruction=value_of(_read_instruction, cursor, fields, names.instruction),
                image=partial(self._open_image, fields),
                description=value_of(read_text, cursor, fields, *names.description),
                reference=value_of(read_text, cursor, fields, *names.reference),
                problem=_problem(fields),
            )

    def finish(self) -> None:
        """Check that the file ends here, and that an item had the fields that make a pair (``DataError`` if none)."""
        self._cursor.finish()
        self._cursor.check_encoding()
        if self._count and not self._recognized:
            raise DataError(
                f"none of its {counted(self._count, 'item')} has {self._names.image} or {self._names.instruction}; "
                "expected {category: [pair, ...]} or a list of pairs (a RISEBench list is named data_total.json)"
            )


def _problem(fields: Fields) -> PairError | None:
    if fields.kind != "object":
        return PairError("bad_field", f"the item is a JSON {fields.kind}; expected an object")
    if fields.twice:
        return PairError("bad_field", f"{min(fields.twice)} is there more than once")
    return None


def read_fields(cursor: Cursor, names: FieldNames) -> Fields:
    """Read one item of any kind."""
    kind = cursor.next_kind()
    if kind != "object":
        cursor.skip()
        return Fields(kind, {}, frozenset())
    known = names.known
    longest_key = _BYTES_PER_CHARACTER * max(map(len, known))
    values: dict[str, Piece] = {}
    twice: set[str] = set()
    for key in cursor.members():
        name = _key_text(cursor, key) if key.length <= longest_key else ""
        value = cursor.skip()
        if name in values:
            twice.add(name)
        elif name in known:
            values[name] = value
    return Fields(kind, values, frozenset(twice))


def read_name(cursor: Cursor, fields: Fields, *names: str) -> str:
    """Return the id or category name; raises ``PairError`` (``bad_id``) if it cannot be used."""
    name, piece = fields.get(*names)
    if piece is None:
        raise PairError("bad_id", f"{' or '.join(names)} is missing")
    return name_of(cursor, piece, name)


def name_of(cursor: Cursor, piece: Piece, what: str) -> str:
    """Return a value as a name: a text, or an integer in decimal. Raises ``PairError`` (``bad_id``)."""
    if piece.kind == "number" and piece.length <= MAX_NAME:
        digits = cursor.raw(piece)
        if _INTEGER.fullmatch(digits):
            return str(int(digits))
    if piece.kind == "number":
        raise PairError("bad_id", f"{what} is a number, but no integer of at most {MAX_NAME} digits")
    if piece.kind != "text":
        raise PairError("bad_id", f"{what} is a JSON {piece.kind}; expected text or an integer")
    if piece.length > MAX_TEXT:
        raise PairError(
            "bad_id", f"{what} is a text of {piece.length} bytes; at most {MAX_NAME} characters are accepted"
        )
    try:
        text = cursor.text(piece)
    except ValueError as error:
        raise PairError("bad_id", f"{what} has a wrong escape: {error}") from error
    return checked_name(text, what)


def read_text(cursor: Cursor, fields: Fields, *names: str) -> str | None:
    """Return the text of the first of these fields that is there, or None; raises ``PairError`` (``bad_field``)."""
    if not names:
        return None
    name, piece = fields.get(*names)
    if piece is None:
        return None
    if piece.kind != "text":
        raise PairError("bad_field", f"{name} is a JSON {piece.kind}; expected text")
    if piece.length > MAX_TEXT * _BYTES_PER_CHARACTER:
        raise PairError("bad_field", f"{name} has {piece.length} bytes; at most {MAX_TEXT} characters are accepted")
    try:
        text = cursor.text(piece)
    except ValueError as error:
        raise PairError("bad_field", f"{name} has a wrong escape: {error}") from error
    return checked_text(text, name)


def _read_instruction(cursor: Cursor, fields: Fields, name: str) -> str:
    text = read_text(cursor, fields, name)
    if text is None or not text.strip():
        raise PairError("no_instruction", f"{name} is {'missing' if text is None else 'empty'}")
    return text


def image_piece(fields: Fields, names: FieldNames) -> Piece:
    """Return the place of the image's field; raises ``PairError`` (``bad_field``)."""
    name, piece = fields.get(names.image)
    if piece is None:
        raise PairError("bad_field", f"{name} is missing")
    if piece.kind != "text":
        raise PairError("bad_field", f"{name} is a JSON {piece.kind}; expected text")
    return piece


def _key_text(cursor: Cursor, key: Piece) -> str:
    try:
        return cursor.text(key)
    except ValueError:  # a key with a wrong escape is not a known one
        return ""
