"""The turns of loads on one machine: as many at once as its memory has room for.

A load from mapped files straight to a device needs none of its own, and waits for nobody. One that copies weights into
memory of its process reserves what it needs; what is reserved is released when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from protocol.host_memory import available_memory
from protocol.pool import locked, try_lock

QUEUE_LOCK = "queue.lock"
"""Held by the load that waits longest, while it waits."""

_SUFFIX = ".reserved"


@contextlib.contextmanager
def load_turn(folder: Path, needed: int | None, available: Callable[[], int] = available_memory) -> Iterator[None]:
    """Wait until there is room for a load, and keep it reserved meanwhile.

    ``folder`` is the same for all loads of a machine. ``needed`` is in bytes; None, if not known, lets no other load
    with a need run at the same time. A load that does not fit at all runs when no other one does.
    """
    if needed == 0:
        yield
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    with locked(folder / QUEUE_LOCK):
        while (others := _reserved(folder)) and not _fits(needed, list(others.values()), available()):
            _wait_for(next(iter(others)))
        # No pid: loads in several containers may have the same one.
        own = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        descriptor = try_lock(own)
        assert descriptor is not None, "nobody else knows this name yet"  # noqa: S101 - it is new, and the queue is locked
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"" if needed is None else str(needed).encode())
    try:
        yield
    finally:
        own.unlink(missing_ok=True)
        os.close(descriptor)


def _fits(needed: int | None, others: list[int | None], available: int) -> bool:
    """Whether a load fits beside the others, which may not have taken anything yet."""
    if needed is None or None in others:
        return False
    return needed + sum(size for size in others if size is not None) <= available


def _reserved(folder: Path) -> dict[Path, int | None]:
    """What other loads have reserved, by file. The file of a process that has ended is removed."""
    sizes: dict[Path, int | None] = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        descriptor = try_lock(path)
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            continue
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text()
            sizes[path] = int(text) if text else None
    return sizes


def _wait_for(path: Path) -> None:
    """Wait until this reservation is released."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
