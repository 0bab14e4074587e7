"""Finds edits that were made elsewhere: in a folder like a run's ``images``, or in a list of JSON lines.

Links must not leave the folder. The paths in a list may lead anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from scheduler.base.files import file_name
from scheduler.base.text import CONVERT, counted, one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere, FoundImage, match
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.sources import image_path

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of the accepted image formats. If an edit has several files, the first of these extensions counts."""

_MAX_LINE = 1 << 20
_FIRST_PROBLEMS = 20


class ImagesError(Exception):
    """The images as a whole cannot be used; ``problems`` has one line for each reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def find_edits(place: Path, benchmark: Benchmark, samples_per_pair: int) -> EditsElsewhere:
    """Find the edits in this folder or list; raises ``ImagesError`` if it is none, or has no image of any pair."""
    written: Callable[[str], str] = str
    try:
        if place.is_dir():
            images = list(_in_folders(place, samples_per_pair))
            written = file_name
        elif place.is_file():
            images = _in_list(place)
        else:
            raise ImagesError(f"there is no folder and no file {one_line(place.absolute(), 400)}")
    except OSError as error:
        raise ImagesError(f"{one_line(place, 400)} can't be read: {error.strerror or error}") from error
    edits = match(str(place.absolute()), images, benchmark, samples_per_pair, written=written)
    if benchmark.pairs and not (edits.images or edits.refused):
        raise ImagesError(_no_image_message(place, images, benchmark))
    return edits


def _no_image_message(place: Path, images: list[FoundImage], benchmark: Benchmark) -> str:
    pair = benchmark.pairs[0]
    if place.is_dir():
        example = f"expected is, for instance, {place / file_name(pair.category) / (file_name(pair.pair_id) + '.png')}"
    else:
        example = f'expected is, for instance, {{"id": "{pair.key}", "image_path": "..."}}'
    count = counted(len(images), "image")
    there = f"none of its {count} belongs to a pair that was chosen" if images else "it has no images"
    return f"{one_line(place.absolute(), 400)}: {there}; {one_line(example, 600)}"


def _in_folders(place: Path, samples_per_pair: int) -> Iterator[FoundImage]:
    """Find images as a run leaves them: sample 0 in the folder, sample 1 beside it in ``...-sample-1``."""
    yield from _in_folder(place, 0)
    for sample in range(1, samples_per_pair):
        beside = Path(f"{place.absolute()}-sample-{sample}")
        if beside.is_dir():
            yield from _in_folder(beside, sample)


def _in_folder(folder: Path, sample: int) -> Iterator[FoundImage]:
    root = folder.resolve()
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if Path(entry.path).is_dir():  # the entry's own method raises for a loop of links
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
    """Return the index of the name's extension in ``EXTENSIONS``; None if it is no image."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name
    return EXTENSIONS.index(extension) if extension in EXTENSIONS else None


def _by_name_then_extension(name: str) -> tuple[str, int, str]:
    return os.path.splitext(name)[0], _extension(name) or 0, name  # noqa: PTH122 - a name


def _in_list(place: Path) -> list[FoundImage]:
    images: list[FoundImage] = []
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
                text.decode()
            except UnicodeDecodeError:
                raise ImagesError(f"line {number} of {one_line(place, 400)} is not UTF-8; {CONVERT}") from None
            try:
                images.append(_entry(text, folder, number))
            except ValueError as error:
                problems.append(f"line {number}: {error}")
    if problems:
        more = len(problems) - _FIRST_PROBLEMS
        raise ImagesError(*problems[:_FIRST_PROBLEMS], *([f"and {counted(more, 'more line')}"] if more > 0 else []))
    return images


def _entry(text: bytes, folder: Path, number: int) -> FoundImage:
    """Read one line of a list; raises ``ValueError`` if it is invalid."""
    try:
        entry: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
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
