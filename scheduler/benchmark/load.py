"""Loads a benchmark: finds out what lies at a path, goes over it once, and turns what is wrong into one exception."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from scheduler.benchmark.collect import Collector, Section
from scheduler.benchmark.fields import PAIRS_JSON, RISEBENCH, FieldNames, Fields, image_piece, name_of, read_text
from scheduler.benchmark.images_on_disk import image_path
from scheduler.benchmark.json_cursor import Cursor, JsonError, Piece
from scheduler.benchmark.model import Benchmark, DataError, PairError, Source
from scheduler.benchmark.names import shown
from scheduler.benchmark.sources import EmbeddedSource, FileSource

RISEBENCH_FILE = "data_total.json"


def load_benchmark(
    path: Path,
    *,
    categories: Sequence[str] | None = None,
    limit: int | None = None,
    thorough: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Benchmark:
    """Load the pairs of a JSON file, or of a RISEBench folder (or its ``data_total.json``).

    Args:
        path: the file or folder.
        categories: only these; all if null.
        limit: so many items of each category, in the file's order, bad ones included; at least 1.
        thorough: decode every image whole. Otherwise an image that is broken behind its header (and, in a PNG, with
            correct checksums) is found only by who decodes it.
        progress: called after each item with the number of items passed so far.

    Raises:
        DataError: the data as a whole can't be used; the message names the file.
        ValueError: ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; expected at least 1")
    file, names = _locate(path)
    try:
        with file.open("rb", buffering=0) as raw:
            cursor = Cursor(raw)
            collector = Collector(
                cursor, names, _image_opener(cursor, file, names, thorough), categories=categories, limit=limit
            )
            _walk(cursor, names, collector, progress or (lambda _: None))
            return collector.finish(str(path))
    except JsonError as error:
        raise DataError(f"{path}: this is no JSON that can be read: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _locate(path: Path) -> tuple[Path, FieldNames]:
    """The JSON file to read, links followed, and the names of its fields."""
    try:
        found = path.resolve(strict=True)
        if found.is_dir():
            found = (path / RISEBENCH_FILE).resolve(strict=True)
            names = RISEBENCH
        else:
            names = RISEBENCH if path.name == RISEBENCH_FILE else PAIRS_JSON
    except FileNotFoundError as error:
        missing = f"there is no {RISEBENCH_FILE} in this folder" if path.is_dir() else "there is no such file or folder"
        raise DataError(f"{path}: {missing}") from error
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL byte; RuntimeError: a loop of links
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not found.is_file():
        raise DataError(f"{path}: this is neither a file nor a folder")
    return found, names


def _image_opener(cursor: Cursor, file: Path, names: FieldNames, thorough: bool) -> Callable[[Fields], Source]:
    def embedded(fields: Fields) -> Source:
        piece = image_piece(fields, names)
        return EmbeddedSource.inspect(file, piece.start, piece.length, thorough=thorough)

    def beside(fields: Fields) -> Source:
        image_piece(fields, names)
        name = read_text(cursor, fields, names.image) or ""
        return FileSource.inspect(image_path(file.parent, name), thorough=thorough)

    return beside if names is RISEBENCH else embedded


def _walk(cursor: Cursor, names: FieldNames, collector: Collector, progress: Callable[[int], None]) -> None:
    kind = cursor.next_kind()
    if kind == "list":
        _walk_list(cursor, collector, None, progress)
    elif kind == "object" and names is PAIRS_JSON:
        for number, key in enumerate(cursor.members(), 1):
            section = _section(cursor, key, number)
            kind = cursor.next_kind()
            if kind != "list":
                raise DataError(
                    f"under {shown(section.name)} it holds a JSON {kind}; expected {{category: [pair, ...]}} or one "
                    "list of all pairs (JSON Lines is not read)"
                )
            collector.open_section(section)
            _walk_list(cursor, collector, section, progress)
    else:
        expected = "a list of pairs" + (" or an object {category: [pair, ...]}" if names is PAIRS_JSON else "")
        raise DataError(f"it holds a JSON {kind}; expected {expected}")
    cursor.finish()


def _walk_list(cursor: Cursor, collector: Collector, section: Section | None, progress: Callable[[int], None]) -> None:
    for position, _ in enumerate(cursor.items(), 1):
        collector.take(position, section)
        progress(collector.items)


def _section(cursor: Cursor, key: Piece, number: int) -> Section:
    try:
        return Section(name_of(cursor, key, "category"))
    except PairError as problem:
        return Section(f"#{number}", problem)
