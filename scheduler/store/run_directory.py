"""The folder of one run, and the paths in it."""

from __future__ import annotations

import contextlib
import difflib
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
from scheduler.store.ledger import LedgerLock

log = logging.getLogger("warmbench")

LEDGER = "results.jsonl"
_STAMP = re.compile(r"(\d{8}_\d{6})(?:_(\d+))?")
_MAX_JSON_BYTES = 1 << 28
_PATIENCE_SECONDS = 10.0


class NoSuchRunError(Exception):
    """There is no run of that name that could be gone on with."""


class RunDirectory:
    """``<output_dir>/runs/<stamp>``; the stamp is the run's id. It belongs to one process at a time."""

    def __init__(self, path: Path, image_output_dir: Path | None = None) -> None:
        self.path = path
        self.stamp = path.name
        self.ledger = path / LEDGER
        self._images = image_output_dir.absolute() / self.stamp if image_output_dir else path / "images"
        self._own = str(path)
        self._lock = LedgerLock(self.ledger)

    @classmethod
    def create(cls, output_dir: Path, image_output_dir: Path | None = None) -> RunDirectory:
        """Make a new one, by an exclusive mkdir: two runs that start in one second get two.

        Raises:
            OSError: it can't be made.
        """
        runs = output_dir / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%d_%H%M%S")
        number = 1
        while True:
            path = runs / (stamp if number == 1 else f"{stamp}_{number}")
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                continue
            return cls(path, image_output_dir)

    @classmethod
    def reopen(cls, output_dir: Path, image_output_dir: Path | None, run: str) -> RunDirectory:
        """Take the one of an earlier run: its id, or ``latest`` for the newest with a ledger.

        What its writer left half written is removed.

        Raises:
            NoSuchRunError: there is none, or it has no ledger.
            scheduler.store.ledger.LedgerBusyError: a process that lives works in it.
            OSError: it can't be used.
        """
        directory = cls(find_run(output_dir, run), image_output_dir)
        images = directory._images
        for folder in (images, *images.parent.glob(f"{images.name}-sample-*"), directory.path / "thumbnails"):
            for partial in folder.glob(f"**/{PARTIAL}"):
                partial.unlink(missing_ok=True)
        return directory

    def close(self) -> None:
        """Let another process have it."""
        self._lock.release()

    def image_path(self, category: str, pair_id: str, sample: int) -> str:
        """Where the edit of this sample goes: into ``images``, further samples into ``images-sample-1`` and so on.

        Ids are checked when the benchmark is loaded; this makes sure once more that none leads out of the folder.
        """
        _check_names(category, pair_id)
        folder = f"{self._images}-sample-{sample}" if sample else str(self._images)
        return f"{folder}/{file_name(category)}/{file_name(pair_id)}.png"

    def thumbnail_path(self, category: str, pair_id: str, sample: int | None) -> str:
        """Where the small picture of this sample's edit goes, or of the source (None)."""
        return thumbnail_path(self._own, category, pair_id, sample)

    def recorded(self, path: str) -> str:
        """The path of an image as the ledger has it: relative to the run's folder if it is inside, else absolute."""
        return path.removeprefix(f"{self.path}/")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the run's folder, as a whole or not at all."""
        self.write_text(name, json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file into the run's folder, as a whole or not at all."""
        # What a command line or a path holds need not be Unicode.
        write_atomically(self.path / name, encodable(text).encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """What ``write_json`` wrote; empty if it never came to that, or it can't be read."""
        return read_json(self.path / name)


def thumbnail_path(run: Path | str, category: str, pair_id: str, sample: int | None) -> str:
    """In the folder of this run, the small picture of a sample's edit: in ``thumbnails/edit``, further samples in
    ``thumbnails/edit-sample-1`` and so on; of the source (None) in ``thumbnails/source``.

    Raises:
        ValueError: it would lie elsewhere.
    """
    _check_names(category, pair_id)
    what = "source" if sample is None else f"edit-sample-{sample}" if sample else "edit"
    return f"{run}/thumbnails/{what}/{file_name(category)}/{file_name(pair_id)}.jpg"


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object of this file; empty if there is none, or it can't be read."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def locate_run(run: str, output_dir: Path) -> Path:
    """The folder of a run that has a ledger, as people name it: an id under ``output_dir``, ``latest``, or a path.

    What has a slash in it is a path, and so is the name of a folder that is no run of ``output_dir``.

    Raises:
        NoSuchRunError: there is none; says what is nearest.
    """
    path = Path(run)
    if "/" not in run and run not in (".", ".."):
        try:
            return find_run(output_dir, run)
        except NoSuchRunError:
            if not path.is_dir():
                raise
    if (path / LEDGER).is_file():
        return path
    hint = ""
    if inside := _runs(path / "runs"):
        hint = f"; did you mean {inside[max(inside, key=_age)]}?"
    elif near := difflib.get_close_matches(path.name, beside := _runs(path.parent), n=1):
        hint = f"; did you mean {beside[near[0]]}?"
    raise NoSuchRunError(f"there is no ledger ({LEDGER}) in {path}{hint}")


@contextlib.contextmanager
def reports_locked(path: Path, *, patient: bool) -> Iterator[None]:
    """Hold the reports of the run in this folder, from reading its ledger until they are written: whoever comes second
    has read at least as much, and two never write one file at once.

    One that is not ``patient`` waits 10 seconds at most: a run's end does not depend on somebody who reads along.

    Raises:
        OSError: the folder can't be opened.
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
                log.warning("Another process has held this run's reports for long: they are written all the same")
                return
            time.sleep(0.05)
            continue
        except OSError:
            return  # a file system without locks
        return


def find_run(output_dir: Path, run: str) -> Path:
    """The folder of the run with this id, or of the newest that has a ledger for ``latest``.

    Raises:
        NoSuchRunError: there is none.
    """
    runs = output_dir / "runs"
    found = _runs(runs)
    if run == "latest" and found:
        return found[max(found, key=_age)]
    if run in found:
        return found[run]
    if not found:
        raise NoSuchRunError(f"there is no run with a ledger in {runs}")
    near = difflib.get_close_matches(run, found, n=1) or [max(found, key=_age)]
    raise NoSuchRunError(f"there is no run {run!r} with a ledger in {runs}; did you mean {near[0]}?")


def _runs(folder: Path) -> dict[str, Path]:
    """The runs with a ledger in this folder, by their id."""
    ledgers = folder.glob(f"*/{LEDGER}")
    return {path.parent.name: path.parent for path in ledgers if _STAMP.fullmatch(path.parent.name)}


def _age(stamp: str) -> tuple[str, int]:
    match = _STAMP.fullmatch(stamp)
    return (match[1], int(match[2] or 1)) if match else ("", 0)


def _check_names(*parts: str) -> None:
    for part in parts:
        if part in ("", ".", "..") or any(character in part for character in "/\\\0"):
            raise ValueError(f"{part!r} can't be a file's name")
