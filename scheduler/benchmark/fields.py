"""The fields of one item: which are known in each format, and what their values must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.benchmark.json_cursor import Cursor, Piece
from scheduler.benchmark.model import Format, PairError
from scheduler.benchmark.names import MAX_NAME, name_problem

MAX_TEXT = 100_000
"""The longest instruction, description or reference, in characters."""

_BYTES_PER_CHARACTER = 12  # an astral character written as two escapes
_INTEGER = re.compile(rb"-?[0-9]+")


@dataclass(frozen=True)
class FieldNames:
    """How a format calls the fields. Of several names the first that is there counts."""

    format: Format
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


PAIRS_JSON = FieldNames(
    format="json",
    pair_id=("pair_id", "id"),
    instruction="edit_instruction",
    image="original_image_b64",
    description=("original_description",),
)
RISEBENCH = FieldNames(
    format="risebench",
    pair_id=("index",),
    instruction="instruction",
    image="image",
    reference=("reference", "reference_txt"),
)


@dataclass(frozen=True)
class Fields:
    """One item as it stands in the file: the known fields alone, ``twice`` the names of those that came again.

    ``kind`` is that of the item itself; one that is no object has no fields.
    """

    kind: str
    values: Mapping[str, Piece]
    twice: frozenset[str]

    def get(self, *names: str) -> tuple[str, Piece | None]:
        """The first of these fields that is there and not null, with its name; else the first name and nothing."""
        for name in names:
            piece = self.values.get(name)
            if piece is not None and piece.kind != "null":
                return name, piece
        return names[0], None


def read_fields(cursor: Cursor, names: FieldNames) -> Fields:
    """Take one item, whatever it is.

    Raises:
        JsonError: from the cursor.
    """
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
    """The id or category name.

    Raises:
        PairError: ``bad_id``.
    """
    name, piece = fields.get(*names)
    if piece is None:
        raise PairError("bad_id", f"{' or '.join(names)} is missing")
    return name_of(cursor, piece, name)


def name_of(cursor: Cursor, piece: Piece, what: str) -> str:
    """The name that a value stands for: a text, or an integer in decimal.

    Raises:
        PairError: ``bad_id``.
    """
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
    problem = name_problem(text)
    if problem:
        raise PairError("bad_id", f"{what} {problem}")
    return text


def read_text(cursor: Cursor, fields: Fields, *names: str) -> str | None:
    """The text of the first of these fields that is there; null if none is, or no names are given.

    Raises:
        PairError: ``bad_field``.
    """
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
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PairError("bad_field", f"{name} is not valid UTF-8 text") from error
    except ValueError as error:
        raise PairError("bad_field", f"{name} has a wrong escape: {error}") from error
    if len(text) > MAX_TEXT:
        raise PairError("bad_field", f"{name} has {len(text)} characters; at most {MAX_TEXT} are accepted")
    return text


def image_piece(fields: Fields, names: FieldNames) -> Piece:
    """Where the image's field lies.

    Raises:
        PairError: ``bad_field``.
    """
    name, piece = fields.get(names.image)
    if piece is None:
        raise PairError("bad_field", f"{name} is missing")
    if piece.kind != "text":
        raise PairError("bad_field", f"{name} is a JSON {piece.kind}; expected text")
    return piece


def _key_text(cursor: Cursor, key: Piece) -> str:
    try:
        return cursor.text(key)
    except ValueError:  # a key with a wrong escape is none that is known
        return ""
