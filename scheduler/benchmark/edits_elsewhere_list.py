"""Reads a list of edits that were made elsewhere: a JSON object a line. The paths in it may lead anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from scheduler.base.text import CONVERT, counted, one_line
from scheduler.benchmark.edits_elsewhere import FoundImage, ImagesError

_MAX_LINE = 1 << 20
_FIRST_PROBLEMS = 20


def read_list(place: Path) -> list[FoundImage]:
    """Return the images that the list names; raises ``ImagesError`` with every line that is none."""
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
    return FoundImage((category, pair_id), sample, str(folder / path), f"line {number}, {key}")


def _shown(value: Any) -> str:
    return "nothing" if value is None else one_line(repr(value), 100)
