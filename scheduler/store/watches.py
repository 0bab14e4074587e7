"""The folder of a watch, ``<output_dir>/watches/<name>``, with ``watch.json``: what became of each checkpoint."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from scheduler.base.files import write_atomically
from scheduler.base.text import encodable
from scheduler.store.ledger import LedgerBusyError, LedgerLock

WATCH = "watch.json"
_LOCK = ".lock"
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


class WatchEntry(Struct, frozen=True, kw_only=True):
    """A checkpoint and its run; see ``scheduler.run.watch_order.Watched``. ``settings`` are those of the evaluation."""

    path: str
    step: int | None
    version: str
    settings: str
    run: str | None = None
    code: int | None = None
    reason: str | None = None


class WatchFile(Struct, frozen=True, kw_only=True):
    """``watch.json``. ``others`` were evaluated with other settings than the last watch has."""

    folder: str
    command: list[str]
    checkpoints: list[WatchEntry]
    others: list[WatchEntry] = []


class UnreadableWatchError(Exception):
    """``watch.json`` cannot be read."""


class WatchDirectory:
    """It belongs to one process at a time; a watched folder has one in each output folder."""

    def __init__(self, output_dir: Path, folder: Path) -> None:
        """Make it, if it is missing. Raises ``LedgerBusyError`` if another process watches the folder, ``OSError``."""
        self.folder = folder.resolve()
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]
        name = _NOT_IN_NAMES.sub("-", encodable(self.folder.name))[:60].strip("-.") or "folder"
        self.path = output_dir / "watches" / f"{name}-{digest}"
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = LedgerLock(self.path / _LOCK)
        except LedgerBusyError:
            raise LedgerBusyError(
                f"another process watches {self.folder} already and has {self.path}: end it, or give this one another "
                "--output-dir"
            ) from None

    def read(self) -> list[WatchEntry]:
        """Return what ``watch.json`` has; nothing if there is none. Raises ``UnreadableWatchError``."""
        try:
            file = msgspec.json.decode((self.path / WATCH).read_bytes(), type=WatchFile)
            return [*file.checkpoints, *file.others]
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise UnreadableWatchError(
                f"{self.path / WATCH} can't be read: {error}; without this file, every checkpoint is evaluated again"
            ) from error

    def write(self, command: Sequence[str], entries: Sequence[WatchEntry], others: Sequence[WatchEntry] = ()) -> None:
        """Write ``watch.json``. Raises ``OSError``."""
        file = WatchFile(
            folder=encodable(str(self.folder)),
            command=[encodable(word) for word in command],
            checkpoints=list(map(_encodable, entries)),
            others=list(others),
        )
        text = msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
        write_atomically(self.path / WATCH, text, sync_folder=True)

    def close(self) -> None:
        """Release it to other processes."""
        self._lock.release()


def _encodable(entry: WatchEntry) -> WatchEntry:
    reason = None if entry.reason is None else encodable(entry.reason)
    return msgspec.structs.replace(entry, path=encodable(entry.path), reason=reason)
