"""Where edits made elsewhere lie: a folder like a run's ``images``, or a list with a JSON object a line.

A folder's links must stay in it. The paths of a list are its writer's own business.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from scheduler.base.files import file_name
from scheduler.base.text import one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere, FoundImage, match
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.sources import image_path

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of the formats that are accepted. Where one edit has several files, the first of these counts."""

_MAX_LINE = 1 << 20
_FIRST_PROBLEMS = 20


class ImagesError(Exception):
    """The images as a whole can't be used; ``problems`` are all that are wrong, a line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def find_edits(place: Path, benchmark: Benchmark, samples_per_pair: int) -> EditsElsewhere:
    """The edits that are in this folder, or that this list names.

    Raises:
        ImagesError: there is no such place, it can't be read, it is no list, or it has no image for any pair.
    """
    written: Callable[[str], str] = str
    try:
        if place.is_dir():
            found = list(_in_folders(place, samples_per_pair))
            written = file_name
        elif place.is_file():
            found = _in_list(place)
        else:
            raise ImagesError(f"there is no folder and no file {one_line(place.absolute(), 400)}")
    except OSError as error:
        raise ImagesError(f"{one_line(place, 400)} can't be read: {error.strerror or error}") from error
    edits = match(str(place.absolute()), found, benchmark, samples_per_pair, written=written)
    if benchmark.pairs and not (edits.images or edits.refused):
        raise ImagesError(_nothing(place, found, benchmark))
    return edits


def _nothing(place: Path, found: list[FoundImage], benchmark: Benchmark) -> str:
    pair = benchmark.pairs[0]
    if place.is_dir():
        example = f"expected is, for instance, {place / file_name(pair.category) / (file_name(pair.pair_id) + '.png')}"
    else:
        example = f'expected is, for instance, {{"id": "{pair.key}", "image_path": "..."}}'
    there = f"none of its {len(found)} images belongs to a pair that was chosen" if found else "it has no images"
    return f"{one_line(place.absolute(), 400)}: {there}; {one_line(example, 600)}"


def _in_folders(place: Path, samples_per_pair: int) -> Iterator[FoundImage]:
    """As a run leaves them: the first sample's in the folder, those of sample 1 beside it in ``...-sample-1``."""
    yield from _in_folder(place, 0)
    for sample in range(1, samples_per_pair):
        beside = Path(f"{place.absolute()}-sample-{sample}")
        if beside.is_dir():
            yield from _in_folder(beside, sample)


def _in_folder(folder: Path, sample: int) -> Iterator[FoundImage]:
    root = folder.resolve()
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if Path(entry.path).is_dir():  # unlike the entry's own, it takes a loop of links for no folder
            names = [name for name in os.listdir(entry.path) if _extension(name) is not None]  # noqa: PTH208 - names
            for name in sorted(names, key=_by_name_then_extension):
                yield _file(root, entry.name, name, sample)
        elif _extension(entry.name) is not None:
            yield FoundImage("", entry.name, sample, entry.path, entry.name)


def _file(root: Path, category: str, name: str, sample: int) -> FoundImage:
    where, problem = f"{category}/{name}", None
    path = str(root / category / name)
    try:
        path = str(image_path(root, where))
    except PairError as error:
        problem = error.message
    return FoundImage(category, os.path.splitext(name)[0], sample, path, where, problem)  # noqa: PTH122 - a name


def _extension(name: str) -> int | None:
    """The place of the name's extension among ``EXTENSIONS``; None for what is no image."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name
    return EXTENSIONS.index(extension) if extension in EXTENSIONS else None


def _by_name_then_extension(name: str) -> tuple[str, int, str]:
    return os.path.splitext(name)[0], _extension(name) or 0, name  # noqa: PTH122 - a name


def _in_list(place: Path) -> list[FoundImage]:
    found: list[FoundImage] = []
    problems: list[str] = []
    folder = place.absolute().parent
    with place.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            if len(line) > _MAX_LINE:
                problems.append(f"line {number} has more than {_MAX_LINE} bytes")
                break
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            if not text:
                continue
            try:
                found.append(_entry(text, folder, number))
            except ValueError as error:
                problems.append(f"line {number}: {error}")
    if problems:
        more = len(problems) - _FIRST_PROBLEMS
        raise ImagesError(*problems[:_FIRST_PROBLEMS], *([f"and {more} more lines"] if more > 0 else []))
    return found


def _entry(text: bytes, folder: Path, number: int) -> FoundImage:
    """One line of a list.

    Raises:
        ValueError: it is none.
    """
    try:
        entry: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is no JSON: {one_line(error, 200)}") from error
    if not isinstance(entry, dict):
        raise ValueError('is no JSON object like {"id": "category/pair_id", "image_path": "..."}')
    key, path, sample = entry.get("id"), entry.get("image_path"), entry.get("sample", 0)
    if not isinstance(key, str) or not all(key.partition("/")):
        raise ValueError(f"`id` must be a text, category/pair_id, found {_shown(key)}")
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"`image_path` must be a path, found {_shown(path)}")
    if not isinstance(sample, int) or isinstance(sample, bool) or sample < 0:
        raise ValueError(f"`sample` must be a number from 0 up, found {_shown(sample)}")
    category, _, pair_id = key.partition("/")
    return FoundImage(category, pair_id, sample, str(folder / path), f"line {number}, {key}")


def _shown(value: Any) -> str:
    return "nothing" if value is None else one_line(repr(value), 100)
