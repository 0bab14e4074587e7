"""The columns of one batch of an Arrow table. No image is copied: its bytes are found by the offsets of the column."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from scheduler.base.text import one_line
from scheduler.benchmark.names import MAX_TEXT
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.records.spool import BROKEN

_MAX_VALUE = 4 * MAX_TEXT  # bytes of UTF-8


class Column:
    """One column. A row is counted within the batch."""

    def __init__(self, name: str, array: Any) -> None:
        self._name = name
        self._array = array

    def is_null(self, row: int) -> bool:
        return not self._valid[row]

    def value(self, row: int) -> Any:
        """Return the value as JSON has it; raises ``PairError`` (``bad_field``)."""
        if self.is_null(row):
            return None
        if not self._is_plain:
            raise PairError("bad_field", f"{self._name} is of the type {self._array.type}; expected a value of JSON")
        size = self._size(row)
        if size > _MAX_VALUE:
            raise PairError("bad_field", f"{self._name} has {size} bytes; at most {MAX_TEXT} characters are accepted")
        try:
            return self._array[row].as_py()
        except BROKEN as error:
            raise PairError("bad_field", f"{self._name} cannot be read: {one_line(error, 200)}") from error

    def image_at(self, row: int) -> tuple[int, int] | None:
        """Return the address and the size of the bytes of an image, None if the column has none in this row."""
        if self.is_null(row) or self._bytes is None:
            return None
        return self._bytes.at(row)

    @cached_property
    def is_images(self) -> bool:
        """Whether each value is an image, or a list of images."""
        return _holds_images(self._array.type) or (
            _is_list(self._array.type) and _holds_images(self._array.type.value_type)
        )

    def entries(self, row: int) -> tuple[Column, range]:
        """Return the column with the entries of this row's list, and their rows in it; itself if it has no lists."""
        if self.is_null(row):
            return self, range(0)
        if not _is_list(self._array.type):
            return self, range(row, row + 1)
        return self._entries, range(self._array.offsets[row].as_py(), self._array.offsets[row + 1].as_py())

    @cached_property
    def _entries(self) -> Column:
        return Column(self._name, self._array.values)

    def image_name(self, row: int) -> str | None:
        """Return the path of an image that is not in the table itself."""
        if not is_image(self._array.type):
            return self._text(self.value(row))
        if self.is_null(row) or self._array.type.get_field_index("path") < 0:
            return None
        return self._text(Column(f"{self._name}.path", self._array.field("path")).value(row))

    def _text(self, value: Any) -> str | None:
        if value is not None and not isinstance(value, str):
            raise PairError("bad_field", f"{self._name} is of the type {self._array.type}; expected an image or a path")
        return value

    def _size(self, row: int) -> int:
        """The bytes of a text or a list, 0 for anything else."""
        import pyarrow.types as kinds

        kind = self._array.type
        if kinds.is_string(kind) or kinds.is_large_string(kind):
            return (self._texts.at(row) or (0, 0))[1]
        if _is_list(kind) or kinds.is_struct(kind):
            return int(self._array.slice(row, 1).nbytes)
        return 0

    @cached_property
    def _valid(self) -> list[bool]:
        valid: list[bool] = self._array.is_valid().to_pylist()
        return valid

    @cached_property
    def _texts(self) -> _Bytes:
        return _Bytes(self._array)

    @cached_property
    def _is_plain(self) -> bool:
        return is_plain(self._array.type)

    @cached_property
    def _bytes(self) -> _Bytes | None:
        array = self._array.field("bytes") if is_image(self._array.type) else self._array
        return _Bytes(array) if _is_binary(array.type) else None


class _Bytes:
    """Where the values of a column of texts or bytes lie."""

    def __init__(self, array: Any) -> None:
        import pyarrow.types as kinds

        is_large = kinds.is_large_binary(array.type) or kinds.is_large_string(array.type)
        _, offsets, data = array.buffers()
        self._offsets = memoryview(offsets).cast("B").cast("q" if is_large else "i") if offsets is not None else None
        self._first: int = array.offset
        self._start: int = 0 if data is None else data.address
        self._valid: list[bool] = array.is_valid().to_pylist()

    def at(self, row: int) -> tuple[int, int] | None:
        """The address and the size of a value, None for null."""
        if self._offsets is None or not self._valid[row]:
            return None
        begin, end = self._offsets[self._first + row], self._offsets[self._first + row + 1]
        return self._start + begin, end - begin


def is_image(kind: Any) -> bool:
    """Whether this is how the ``datasets`` library stores an image: bytes, or a path."""
    import pyarrow.types as kinds

    return bool(kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type))


def is_plain(kind: Any) -> bool:
    """Whether JSON has the values of this type."""
    import pyarrow.types as kinds

    if _is_list(kind) or kinds.is_dictionary(kind):
        return is_plain(kind.value_type)
    if kinds.is_struct(kind):
        return not is_image(kind) and all(is_plain(kind.field(index).type) for index in range(kind.num_fields))
    tests = (kinds.is_null, kinds.is_boolean, kinds.is_integer, kinds.is_floating)
    return any(test(kind) for test in (*tests, kinds.is_string, kinds.is_large_string))


def _holds_images(kind: Any) -> bool:
    return is_image(kind) or _is_binary(kind)


def _is_list(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_list(kind) or kinds.is_large_list(kind))


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))
