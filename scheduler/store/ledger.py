"""The ledger's file: ``results.jsonl``, one row a line, locked by the one process that writes it."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from scheduler.base.text import counted
from scheduler.store.rows import Row, decode_row, encode_row

LEDGER = "results.jsonl"

log = logging.getLogger("warmbench")

_BLOCK = 1 << 16


class LedgerBusyError(Exception):
    """Another process has locked this ledger."""


class LedgerLock:
    """Locks the ledger for this process, until ``release`` or its end. Creates the file if it is missing."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises ``LedgerBusyError`` if another process has it."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        while not self._try(path):
            # A process that only checks the lock (``is_written``) has it for a moment.
            if is_written(path) is not False:
                self.release()
                raise LedgerBusyError(f"{path.parent} is in use by another process")
            time.sleep(0.001)

    def _try(self, path: Path) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            # Some network file systems have no locks.
            log.warning("%s cannot be locked (%s): make sure that no other process resumes this run", path, error)
        return True

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def is_written(ledger: Path) -> bool | None:
    """Whether a live process holds this ledger's lock; None where the file system has no locks.

    The check takes a shared lock for a moment: locks of other readers do not refuse it, a writer's does.
    """
    descriptor = os.open(ledger, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write these rows at the end, durably. Raises ``OSError``."""
    with path.open("ab") as file:
        file.writelines(map(encode_row, rows))
        file.flush()
        os.fsync(file.fileno())


def read_ledger(path: Path, *, growing: bool = False) -> Iterator[Row]:
    """Read the rows. A line that is not a row (torn by a crash or a full disk, or damaged) is skipped with a warning.

    ``growing``: another process may be writing, so an incomplete last line needs no warning.
    """
    damaged: list[int] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if growing and not line.endswith(b"\n"):
                break
            try:
                yield decode_row(line)
            except msgspec.DecodeError:
                damaged.append(number)
    if damaged:
        lines = counted(len(damaged), "line that is not a row", "lines that are not rows")
        log.warning("%s: skipped %s (the first is line %d)", path.name, lines, damaged[0])


def cut_torn_line(path: Path) -> int:
    """Cut off an incomplete last line, which only a crash can leave; return the number of bytes cut off."""
    with path.open("rb+") as file:
        size = kept = file.seek(0, os.SEEK_END)
        while kept:
            start = max(0, kept - _BLOCK)
            file.seek(start)
            newline = file.read(kept - start).rfind(b"\n")
            if newline >= 0:
                kept = start + newline + 1
                break
            kept = start
        if kept < size:
            file.truncate(kept)
            file.flush()
            os.fsync(file.fileno())
    return size - kept
