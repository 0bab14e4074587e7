"""Reads files that may be anything: a pipe, a device, or far too large."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from scheduler.base.text import counted


def read_limited(path: Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or has more than ``limit`` bytes.
    """
    # Without O_NONBLOCK, opening a pipe waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise ValueError(f"is larger than {counted(limit, 'byte')}")
    return content
