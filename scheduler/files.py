"""Writing a file so that a reader, or a machine that loses power, finds the old one or the whole new one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

PARTIAL = ".*.partial"
"""What matches a file that is being written, or was when its writer died."""


def write_atomically(path: Path, content: bytes, *, sync_folder: bool = False) -> None:
    """Write under another name, make that durable (fsync), then rename. A path has one writer at a time.

    ``sync_folder`` makes the rename durable too, which an image does not need: one that a power cut took is noticed,
    and made again.

    Raises:
        OSError: it can't be written; nothing is left behind.
    """
    # Not the name with a suffix: a name may have all of the 255 bytes that there are. And the same name each time, so
    # that what a writer left that was killed is written over.
    temporary = path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync_folder:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
