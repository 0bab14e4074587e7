"""Records of Arrow and Parquet files: the rows of a table. Needs pyarrow.

An Arrow file is mapped, and an image is named by where its bytes lie in it. Anything else is copied into such a file
first. Only offsets and texts are looked at in the map, so the images of a large file never count as memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scheduler.base.text import one_line
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import DataError, ImageOpener, PairError
from scheduler.benchmark.records.columns import Column
from scheduler.benchmark.records.record import Record
from scheduler.benchmark.records.spool import BROKEN, arrow_batches, is_parquet, open_arrow, spooled
from scheduler.benchmark.records.table_files import table_files, table_suffix
from scheduler.benchmark.sources import file_piece
from scheduler.config.checks.packages import install_hint

PACKAGES = {"pyarrow": "18"}
_MAX_COLUMNS = 1000


class Row(Record):
    """One row of a table. ``number`` counts the rows from 0."""

    def __init__(self, columns: Mapping[str, Column], row: int, place: _Place, number: int) -> None:
        self._columns = columns
        self._row = row
        self._place = place
        self.number = number

    @property
    def names(self) -> Collection[str]:
        return self._columns.keys()

    def is_null(self, name: str) -> bool:
        return name not in self._columns or self._columns[name].is_null(self._row)

    def value(self, name: str) -> Any:
        return None if name not in self._columns else self._columns[name].value(self._row)

    def embedded_image(self, name: str) -> ImageOpener | None:
        found = self._columns[name].image_at(self._row) if name in self._columns else None
        return None if found is None else file_piece(self._place.path, self._place.offset(*found), found[1])

    def images(self, folders: Sequence[Path], name: str) -> list[ImageOpener]:
        column = self._columns.get(name)
        if column is None or not column.is_images:
            return super().images(folders, name)
        values, rows = column.entries(self._row)
        return [Row({name: values}, row, self._place, self.number).image(folders, name) for row in rows]

    def image_name(self, name: str) -> str | None:
        return None if name not in self._columns else self._columns[name].image_name(self._row)


class _Place:
    """The mapped file that buffers lie in."""

    def __init__(self, path: Path, mapped: Any) -> None:
        self.path = path
        self._size: int = mapped.size()
        mapped.seek(0)
        self._start: int = mapped.read_buffer(1).address
        mapped.seek(0)

    def holds(self, address: int, size: int) -> bool:
        return self._start <= address <= address + size <= self._start + self._size

    def offset(self, address: int, size: int) -> int:
        """Return the place in the file; raises ``PairError`` (``bad_image``) if the bytes are not in it."""
        if size and not self.holds(address, size):
            raise PairError("bad_image", f"the bytes of the image do not lie in {self.path.name} as they are")
        return address - self._start


def read_table(path: Path) -> Iterator[Row]:
    """Read the rows of a file, or of all shards of a folder; raises ``DataError``."""
    _check_package()
    number = 0
    for file in table_files(path):
        for columns, row, place in _rows(file):
            yield Row(columns, row, place, number)
            number += 1


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns; none where pyarrow is missing, or it is no table that can be read."""
    if table_suffix(path) is None or find_spec("pyarrow") is None:
        return ()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = table_files(path)[0]
        if is_parquet(file):
            return tuple(pq.read_schema(file).names)
        with pa.memory_map(str(file)) as mapped:
            return tuple(open_arrow(mapped, file).schema.names)
    except (*BROKEN, OSError, DataError):
        return ()


def _check_package() -> None:
    if find_spec("pyarrow") is None:
        raise DataError(f"reading it needs pyarrow, which is not installed: {install_hint(PACKAGES)}")


def _rows(file: Path) -> Iterator[tuple[Mapping[str, Column], int, _Place]]:
    """Read the rows of one file: its columns by name, the row's place in them, and the file that holds the bytes."""
    try:
        if not file.stat().st_size:
            raise DataError(f"{file.name} is empty")
        yield from _mapped_rows(spooled(file) if is_parquet(file) or _is_compressed(file) else file)
    except BROKEN as error:
        raise DataError(f"{file.name} cannot be read: {one_line(error, 300)}") from error


def _mapped_rows(file: Path) -> Iterator[tuple[Mapping[str, Column], int, _Place]]:
    import pyarrow as pa

    with pa.memory_map(str(file)) as mapped:
        place = _Place(file, mapped)
        for batch in arrow_batches(open_arrow(mapped, file)):
            batch.validate(full=True)  # offsets of a broken file would lead anywhere
            columns = _columns(batch)
            for row in range(batch.num_rows):
                yield columns, row, place


def _is_compressed(file: Path) -> bool:
    """Whether the buffers of the first batch with rows do not lie in the file as they are."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as mapped:
        place = _Place(file, mapped)
        for batch in arrow_batches(open_arrow(mapped, file)):
            if batch.num_rows:
                buffers = (buffer for column in batch.columns for buffer in column.buffers() if buffer is not None)
                return not all(place.holds(buffer.address, buffer.size) for buffer in buffers if buffer.size)
    return False


def _columns(batch: Any) -> dict[str, Column]:
    names = batch.schema.names
    if len(names) > _MAX_COLUMNS:
        raise DataError(f"it has more than {_MAX_COLUMNS} columns")
    if len(set(names)) < len(names):
        raise DataError(f"it has two columns {shown(max(names, key=names.count))}")
    return {name: Column(name, array) for name, array in zip(names, batch.columns, strict=True)}
