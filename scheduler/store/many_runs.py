"""Finds the runs that one name stands for: a sweep, a watch, a pattern of titles or ids, or a single run."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from scheduler.base.files import read_json
from scheduler.store.ledger import LEDGER
from scheduler.store.run_names import NoSuchRunError, locate_run, run_folders
from scheduler.store.titles import run_title

_LISTS = {"sweeps": "sweep.json", "watches": "watch.json"}
"""The folder of an output folder in which sweeps or watches lie, and the file of each that names its runs."""


def locate_runs(names: Sequence[str], output_dir: Path) -> list[Path]:
    """Return the folders of the runs that these names stand for, each once, in this order.

    A name is that of a run (see ``locate_run``), the id or the folder of a sweep, the folder of a watch or the one that
    is watched, or a pattern with ``*``, ``?`` or ``[``, which titles, ids or else folders match. An id that a run and a
    sweep have is the run's, unless it is the only name.

    Raises:
        NoSuchRunError: a name stands for no run with a ledger, or for several of the same title.
    """
    folders: list[Path] = []
    for name in names:
        folders += _located(name, output_dir, alone=len(names) == 1)
    return list({folder.resolve(): folder for folder in folders}.values())


def _located(name: str, output_dir: Path, *, alone: bool) -> list[Path]:
    path = Path(name)
    listed = _list_of(path) or _of_watched(path, output_dir)
    if listed is None and "/" not in name and (alone or not (output_dir / "runs" / name / LEDGER).is_file()):
        listed = _list_of(output_dir / "sweeps" / name)
    if listed is not None:
        if runs := list(_listed_runs(listed)):
            return runs
        raise NoSuchRunError(f"{listed} has no run with a ledger")
    if any(character in name for character in "*?[") and not path.exists():
        return _matching(name, output_dir)
    return [locate_run(name, output_dir)]


def _list_of(folder: Path) -> Path | None:
    """The file in this folder of a sweep or a watch that names its runs."""
    return next((folder / name for name in _LISTS.values() if (folder / name).is_file()), None)


def _of_watched(folder: Path, output_dir: Path) -> Path | None:
    """The file of the watch whose checkpoints appear in this folder."""
    if not folder.is_dir():
        return None
    files = (output_dir / "watches").glob(f"*/{_LISTS['watches']}")
    return next((file for file in files if read_json(file).get("folder") == str(folder.resolve())), None)


def _listed_runs(file: Path) -> Iterator[Path]:
    checkpoints: Any = read_json(file).get("checkpoints")
    for checkpoint in checkpoints if isinstance(checkpoints, list) else ():
        run = checkpoint.get("run") if isinstance(checkpoint, dict) else None
        if isinstance(run, str) and run == Path(run).name:
            folder = file.parent.parent.parent / "runs" / run
            if (folder / LEDGER).is_file():
                yield folder


def _matching(pattern: str, output_dir: Path) -> list[Path]:
    found = [
        folder
        for folder in run_folders(output_dir)
        if fnmatchcase(folder.name, pattern)
        or fnmatchcase(run_title(read_json(folder / "manifest.json"), folder.name), pattern)
    ]
    found = found or [Path(path) for path in sorted(glob.glob(pattern)) if (Path(path) / LEDGER).is_file()]  # noqa: PTH207 - a pattern may be absolute
    if not found:
        raise NoSuchRunError(f"no run in {output_dir / 'runs'} has a title or an id like {pattern!r}")
    return found
