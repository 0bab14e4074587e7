"""Records of a JSON file: of a list, of an object ``{id: record}``, or of JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.base.text import CONVERT, counted, is_gbk
from scheduler.benchmark.json_cursor import Cursor, JsonError, Piece
from scheduler.benchmark.names import MAX_NAME, MAX_TEXT, checked_name
from scheduler.benchmark.pairs import DataError, ImageOpener, PairError, SourceImage
from scheduler.benchmark.records.record import Record
from scheduler.benchmark.sources import EmbeddedSource

_BYTES_PER_CHARACTER = 12  # an astral character written as two escapes
_MAX_VALUE = MAX_TEXT * _BYTES_PER_CHARACTER
_MAX_FIELDS = 10_000
_MAX_PATH = 4096
_PIECE = 1 << 20
_BASE64_STARTS = (b"data:", b"iVBOR", b"/9j/", rb"\/9j\/", b"R0lGOD", b"UklGR", b"SUkq", b"TU0A")
"""Of PNG, JPEG, GIF, WebP and TIFF."""


class JsonRecord(Record):
    """One object of the file."""

    def __init__(
        self, file: Path, cursor: Cursor, key: Piece | None = None, *, wanted: Collection[str] | None = None
    ) -> None:
        """Read the value that comes next: all of its fields, or only the ``wanted`` ones.

        ``key`` is its own name where it is a member of an object.
        """
        self._file = file
        self._cursor = cursor
        self._key = key
        self._values: dict[str, Piece] = {}
        kind = cursor.next_kind()
        if kind != "object":
            cursor.skip()
            self.problem = PairError("bad_field", f"the item is a JSON {kind}; expected an object")
            return
        for member in cursor.members():
            name = _key_text(cursor, member)
            value = cursor.skip()
            if name is None or (wanted is not None and name not in wanted):
                continue
            if name in self._values:
                self.problem = PairError("bad_field", f"{name} is there more than once")
            elif len(self._values) == _MAX_FIELDS:
                self.problem = PairError("bad_field", f"the item has more than {_MAX_FIELDS} fields")
            else:
                self._values[name] = value

    @property
    def names(self) -> Collection[str]:
        return self._values.keys()

    def own_name(self) -> str | None:
        if self._key is None:
            return None
        text = _key_text(self._cursor, self._key)
        if text is None:
            raise PairError("bad_id", "the key of the item has a wrong escape, or is too long")
        return text

    def is_null(self, name: str) -> bool:
        return name not in self._values or self._values[name].kind == "null"

    def value(self, name: str) -> Any:
        if self.is_null(name):
            return None
        piece = self._values[name]
        if piece.length > _MAX_VALUE:
            size = counted(piece.length, "byte")
            raise PairError("bad_field", f"{name} has {size}; at most {MAX_TEXT} characters are accepted")
        try:
            if piece.kind == "text":
                return self._cursor.text(piece)
            return json.loads(self._cursor.raw(piece), strict=False)
        except ValueError as error:
            raise PairError("bad_field", f"{name} has a wrong escape: {error}") from error

    def base64_image(self, name: str) -> ImageOpener:
        """Return the opener of an image in base64."""

        def open_image(*, thorough: bool) -> SourceImage:
            if self.is_null(name):
                raise PairError("bad_field", f"{name} is missing")
            piece = self._values[name]
            if piece.kind != "text":
                raise PairError("bad_field", f"{name} is a JSON {piece.kind}; expected text")
            return EmbeddedSource.inspect(self._file, piece.start, piece.length, thorough=thorough)

        return open_image

    def embedded_image(self, name: str) -> ImageOpener | None:
        """Return the opener of an image in base64. A text is one if it is too long for a path, or begins like one."""
        piece = self._values.get(name)
        if piece is None or piece.kind != "text":
            return None
        is_path = piece.length <= _MAX_PATH and not self._cursor.raw(piece).startswith(_BASE64_STARTS)
        return None if is_path else self.base64_image(name)


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


def read_list(file: Path) -> Iterator[JsonRecord]:
    """Read the records of a list; raises ``DataError`` if the file holds none."""
    with reading_json(file) as cursor:
        kind = cursor.next_kind()
        if kind != "list":
            raise DataError(f"it holds a JSON {kind}; expected a list of pairs")
        yield from (JsonRecord(file, cursor) for _ in cursor.items())
        finish(cursor)


def read_members(file: Path) -> Iterator[JsonRecord]:
    """Read the records of an object; each has its own key."""
    with reading_json(file) as cursor:
        kind = cursor.next_kind()
        if kind != "object":
            raise DataError(f"it holds a JSON {kind}; expected an object {{id: item}}")
        yield from (JsonRecord(file, cursor, key) for key in cursor.members())
        finish(cursor)


def read_lines(file: Path) -> Iterator[JsonRecord]:
    """Read the records of JSON Lines."""
    with reading_json(file) as cursor:
        while not cursor.at_end():
            yield JsonRecord(file, cursor)
        cursor.check_encoding()


def read_any(file: Path) -> Iterator[JsonRecord]:
    """Read a list, the members of an object in a file ``.json``, or else JSON Lines."""
    with reading_json(file) as cursor:
        kind = cursor.next_kind()
    if kind == "list":
        return read_list(file)
    return read_members(file) if file.suffix == ".json" else read_lines(file)


def finish(cursor: Cursor) -> None:
    """Check that the file ends here, and that its texts were UTF-8."""
    cursor.finish()
    cursor.check_encoding()


def category_name(cursor: Cursor, key: Piece) -> str:
    """Return the name of a category that is a key; raises ``PairError`` (``bad_id``)."""
    if key.length > _MAX_VALUE:
        raise PairError(
            "bad_id", f"category is a text of {key.length} bytes; at most {MAX_NAME} characters are accepted"
        )
    try:
        text = cursor.text(key)
    except ValueError as error:
        raise PairError("bad_id", f"category has a wrong escape: {error}") from error
    return checked_name(text, "category")


def _key_text(cursor: Cursor, key: Piece) -> str | None:
    if key.length > MAX_NAME * _BYTES_PER_CHARACTER:
        return None
    try:
        return cursor.text(key)
    except ValueError:
        return None
