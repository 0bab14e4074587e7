"""Files of which a run has many, and writing any file so that a reader finds the old one or the whole new one.

Paths are plain strings here. pathlib interns every part of every path, and CPython's table of interned strings grows
with each new image of a run.
"""
# ruff: noqa: PTH105, PTH108, PTH118, PTH120, PTH123

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

PARTIAL = ".*.partial"
"""What matches a file that is being written, or was when its writer died."""


def write_atomically(
    path: str | Path, content: bytes | memoryview, *, durable: bool = True, sync_folder: bool = False
) -> None:
    """Write under another name, make that durable (fsync), then rename. A path has one writer at a time.

    What is not ``durable`` saves the fsync: after a power cut it may be there and empty.

    ``sync_folder`` makes the rename durable too, which an image does not need: one that a power cut took is noticed,
    and made again.

    Raises:
        OSError: it can't be written; nothing is left behind.
    """
    folder, name = os.path.split(path)
    # Not the name with a suffix: a name may have all of the 255 bytes that there are. And the same name each time, so
    # that what a writer left that was killed is written over.
    temporary = os.path.join(folder, f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.partial")
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


def _write(path: str, content: bytes | memoryview, *, durable: bool) -> None:
    """Without Python's file objects: they make twice as many system calls, and each lets go of the interpreter's lock
    and has to wait for it again.
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
    """All of it.

    Raises:
        OSError: it can't be read.
    """
    with open(path, "rb") as file:
        return file.read()


def remove_file(path: str) -> None:
    """Have it gone, if it was there.

    Raises:
        OSError: it is there, and can't be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def folder_of(path: str) -> str:
    """The folder that the file is in."""
    return os.path.dirname(path)


_CUT = re.compile(r"~[0-9a-f]{16}\Z")


_MAX_NAME_BYTES = 240
"""File systems allow 255 bytes a name; a suffix has to fit as well."""


def file_name(text: str) -> str:
    """The text as a file's name; a long one is cut and told apart by a hash, and so is one that looks like that."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _MAX_NAME_BYTES and not _CUT.search(text):
        return text
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _MAX_NAME_BYTES - 20].decode('utf-8', 'ignore')}~{digest}"
