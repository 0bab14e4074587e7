"""The folder of one run: created, reopened, locked, and the paths in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.base.files import PARTIAL, file_name, write_atomically
from scheduler.base.text import encodable
from scheduler.store.ledger import LEDGER, LedgerLock
from scheduler.store.run_names import make_stamped_folder, run_by_id

log = logging.getLogger("warmbench")

_PATIENCE_SECONDS = 10.0
_IMAGE_NAME = re.compile(r"(?!edit)[a-z][a-z0-9_]{0,39}")


class RunDirectory:
    """``<output_dir>/runs/<stamp>``; the stamp is the run's id. It belongs to one process at a time."""

    def __init__(self, path: Path, image_output_dir: Path | None = None) -> None:
        self.path = path
        self.stamp = path.name
        self.ledger = path / LEDGER
        self._images = image_output_dir.absolute() / self.stamp if image_output_dir else path / "images"
        self._lock = LedgerLock(self.ledger)

    @classmethod
    def create(cls, output_dir: Path, image_output_dir: Path | None = None) -> RunDirectory:
        """Create one, which no other run has."""
        return cls(make_stamped_folder(output_dir / "runs"), image_output_dir)

    @classmethod
    def reopen(cls, output_dir: Path, image_output_dir: Path | None, run: str) -> RunDirectory:
        """Open that of an earlier run (an id, or ``latest``), and remove partly written images.

        Raises:
            NoSuchRunError: there is none with a ledger.
            LedgerBusyError: another process works in it.
        """
        directory = cls(run_by_id(output_dir, run), image_output_dir)
        images = directory._images
        for folder in (images, *images.parent.glob(f"{images.name}-sample-*"), directory.path / "thumbnails"):
            for partial in folder.glob(f"**/{PARTIAL}"):
                partial.unlink(missing_ok=True)
        return directory

    def close(self) -> None:
        """Release it to other processes."""
        self._lock.release()

    def image_path(self, category: str, pair_id: str, sample: int) -> str:
        """Return the path of this sample's edit: in ``images``, or ``images-sample-1`` and so on."""
        _check_names(category, pair_id)
        folder = f"{self._images}-sample-{sample}" if sample else str(self._images)
        return f"{folder}/{file_name(category)}/{file_name(pair_id)}.png"

    def recorded(self, path: str) -> str:
        """Return an image's path as the ledger has it: relative to the run's folder if inside, else absolute."""
        return path.removeprefix(f"{self.path}/")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the run's folder, atomically."""
        self.write_text(name, json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file into the run's folder, atomically."""
        # Command lines and paths need not be Unicode.
        write_atomically(self.path / name, encodable(text).encode())


def thumbnail_path(run: Path | str, category: str, pair_id: str, of: int | str | None) -> str:
    """Return the path of a thumbnail: of a sample's edit, in ``thumbnails/edit`` of the run's folder, of further
    samples in ``thumbnails/edit-sample-1`` and so on; of the source (None), in ``thumbnails/source``; of another image
    of the pair, in the folder of its name.
    """
    _check_names(category, pair_id)
    if isinstance(of, str) and not _IMAGE_NAME.fullmatch(of):
        raise ValueError(f"{of!r} cannot be the name of an image")
    folder = "source" if of is None else of if isinstance(of, str) else f"edit-sample-{of}" if of else "edit"
    return f"{run}/thumbnails/{folder}/{file_name(category)}/{file_name(pair_id)}.jpg"


@contextlib.contextmanager
def reports_locked(path: Path, *, patient: bool) -> Iterator[None]:
    """Lock the reports of the run in this folder, from reading its ledger until they are written. So the later of two
    writers has read at least as much, and two never write one file at once.

    Without ``patient`` the wait is limited to 10 seconds: the end of a run must not depend on another process.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _wait_for(descriptor, None if patient else time.monotonic() + _PATIENCE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, deadline: float | None) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if deadline is None else fcntl.LOCK_NB))
        except BlockingIOError:
            if deadline is not None and time.monotonic() > deadline:
                log.warning("Another process has locked this run's reports for too long: writing them anyway")
                return
            time.sleep(0.05)
            continue
        except OSError:
            return  # a file system without locks
        return


def _check_names(*parts: str) -> None:
    """Raise ``ValueError`` for a name that would lead out of the folder. Ids are also checked when they are loaded."""
    for part in parts:
        if part in ("", ".", "..") or any(character in part for character in "/\\\0"):
            raise ValueError(f"{part!r} cannot be a file name")
