"""The ledger's file: ``results.jsonl``, one row a line, locked by the one process that writes it."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from scheduler.store.rows import Row, decode_row

log = logging.getLogger("warmbench")

_BLOCK = 1 << 16


class LedgerBusyError(Exception):
    """Another process writes this ledger."""


class LedgerLock:
    """Holds the ledger for this process, until ``release`` or the process's end. Makes the file if it is missing."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            LedgerBusyError: another process has it.
            OSError: the file can't be opened.
        """
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        while not self._try(path):
            # Who only looks whether it is taken (``is_written``) is in nobody's way.
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
            # Some network file systems have no locks; a run there is still better than none.
            log.warning("%s can't be locked (%s): see to it that no other process resumes this run", path, error)
        return True

    def release(self) -> None:
        """Give it back."""
        os.close(self._descriptor)


def is_written(ledger: Path) -> bool | None:
    """Whether a process that lives holds this ledger; None where the file system has no locks.

    It is asked for with a shared lock, given back at once: one that is held by readers alone has no writer, and a run
    that finds a ledger locked looks whether it is by such a reader.

    Raises:
        OSError: the file can't be read.
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


def read_ledger(path: Path, *, growing: bool = False) -> Iterator[Row]:
    """The rows. A line that is none (torn by a crash or a full disk, or damaged) is passed over, with a warning.

    ``growing``: another process may be writing, so a last line that does not end yet is no news.

    Raises:
        OSError: the ledger can't be read.
    """
    broken: list[int] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if growing and not line.endswith(b"\n"):
                break
            try:
                yield decode_row(line)
            except msgspec.DecodeError:
                broken.append(number)
    if broken:
        log.warning("%s: %d lines are no rows (the first is line %d): passed over", path.name, len(broken), broken[0])


def cut_torn_line(path: Path) -> int:
    """Cut off a last line that does not end, which only a crash can leave; return how many bytes it had.

    Raises:
        OSError: the file can't be read or cut.
    """
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
