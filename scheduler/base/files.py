"""Reads and writes files; a reader sees the old file or the whole new one.

Paths are plain strings: pathlib interns every part of a path, and CPython's table of interned strings grows with each
image of a run.
"""
# ruff: noqa: PTH103, PTH105, PTH108, PTH113, PTH118, PTH120, PTH123

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

_MAX_JSON_BYTES = 1 << 28

PARTIAL = ".*.partial"
"""Matches files that are being written, or were when their writer died."""


def write_atomically(
    path: str | Path, content: bytes | memoryview, *, durable: bool = True, sync_folder: bool = False
) -> None:
    """Write under another name, make that durable (fsync), then rename. A path has one writer at a time.

    A file that is not ``durable`` may be empty after a power cut. ``sync_folder`` makes the rename durable too. Images
    do not need that: one that is missing after a power cut is made again. A failure leaves no partial file.
    """
    folder, name = os.path.split(path)
    # A suffix could make a name longer than 255 bytes. The name is the same each time: the next writer overwrites what
    # a killed one has left.
    temporary = os.path.join(folder, _partial_name(name))
    try:
        _write(temporary, content, durable=durable)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
    if sync_folder:
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _partial_name(name: str) -> str:
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.partial"


def _write(path: str, content: bytes | memoryview, *, durable: bool) -> None:
    """Write without a file object, which makes twice as many system calls. Each of them releases the GIL and waits for
    it again.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(content).cast("B")
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: str) -> bytes:
    """Return the content."""
    with open(path, "rb") as file:
        return file.read()


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object of this file; empty if there is none, or it cannot be read."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


_COMPRESSED = {
    b"\x1f\x8b": "gzip-compressed",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ\0": "xz-compressed",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
}


def packed_as(start: bytes) -> str | None:
    """Return how a file that begins with these bytes is packed, as the end of a sentence; None if it is not."""
    return next((words for magic, words in _COMPRESSED.items() if start.startswith(magic)), None)


def remove_file(path: str) -> None:
    """Remove the file if it exists."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def take_file(source: str, target: str) -> bool:
    """Make ``target`` a hard link to this file, or a copy where there can be none; False if the file is missing. A file
    that is there is replaced at once. Neither may be changed in place afterwards.
    """
    source = os.path.realpath(source)
    if not os.path.isfile(source):
        return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, _partial_name(name))
    remove_file(temporary)
    try:
        try:
            os.link(source, temporary)
        except FileNotFoundError:
            return False
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        remove_file(temporary)  # two names of one file are left as they are by `replace`
    return True


def folder_of(path: str) -> str:
    """Return the folder of the file."""
    return os.path.dirname(path)


_CUT = re.compile(r"~[0-9a-f]{16}\Z")

MAX_NAME_BYTES = 240
"""File systems allow 255 bytes; the rest is for a suffix."""


def file_name(text: str) -> str:
    """Return the text as a file's name. A long one, or one that looks like it, is cut and ends with a hash."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= MAX_NAME_BYTES and not _CUT.search(text):
        return text
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: MAX_NAME_BYTES - 20].decode('utf-8', 'ignore')}~{digest}"
