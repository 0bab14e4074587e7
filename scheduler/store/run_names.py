"""Finds the folder of a run by what users call it: an id, ``latest``, a path, or a title."""

from __future__ import annotations

import contextlib
import difflib
import re
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from scheduler.base.files import read_json
from scheduler.store.ledger import LEDGER
from scheduler.store.titles import run_title

_STAMP = re.compile(r"(\d{8}_\d{6})(?:_(\d+))?")


class NoSuchRunError(Exception):
    """There is no run of that name, or it cannot be resumed."""


def locate_run(run: str, output_dir: Path) -> Path:
    """Return the folder of a run with a ledger; ``run`` is an id under ``output_dir``, ``latest``, a path or a title.

    A name with a slash is a path, and so is the name of a folder that is not a run of ``output_dir``, unless it is the
    title of a run. Raises ``NoSuchRunError`` with the nearest run, or the runs of that title if there are several.
    """
    path = Path(run)
    if not (path / LEDGER).is_file() and (titled := _titled(run, output_dir)):
        if len(titled) > 1:
            names = ", ".join(sorted(titled))
            raise NoSuchRunError(f"several runs have the title {run!r}; name one by its id: {names}")
        return next(iter(titled.values()))
    if "/" not in run and run not in (".", ".."):
        try:
            return run_by_id(output_dir, run)
        except NoSuchRunError:
            if not path.is_dir():
                raise
    if (path / LEDGER).is_file():
        return path
    hint = ""
    if inside := _runs(path / "runs"):
        hint = f"; did you mean {_newest(inside)}?"
    elif near := difflib.get_close_matches(path.name, beside := _runs(path.parent), n=1):
        hint = f"; did you mean {beside[near[0]]}?"
    raise NoSuchRunError(f"there is no ledger ({LEDGER}) in {path}{hint}")


def run_by_id(output_dir: Path, run: str) -> Path:
    """Return the folder of the run with this id, or of the ``latest`` with a ledger. Raises ``NoSuchRunError``."""
    folder = output_dir / "runs"
    runs = _runs(folder)
    if run == "latest" and runs:
        return _newest(runs)
    if run in runs:
        return runs[run]
    if not runs:
        raise NoSuchRunError(f"there is no run in {folder}: name its output folder with --output-dir")
    near = difflib.get_close_matches(run, runs, n=1) or [_newest(runs).name]
    raise NoSuchRunError(f"there is no run {run!r} in {folder}; did you mean {near[0]}?")


def make_stamped_folder(parent: Path) -> Path:
    """Make a folder with the present time as its name, by an exclusive mkdir: two that are made in the same second get
    different names. Raises ``OSError``.
    """
    parent.mkdir(parents=True, exist_ok=True)
    stamp, number = time.strftime("%Y%m%d_%H%M%S"), 1
    while True:
        path = parent / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def run_folders(output_dir: Path) -> list[Path]:
    """Return the folders of all runs with a ledger, the newest last."""
    return sorted(_runs(output_dir / "runs").values(), key=lambda path: (path.name[:15], int(path.name[16:] or 1)))


def _titled(title: str, output_dir: Path) -> dict[str, Path]:
    """Return the runs with this title, unless it is an id or ``latest``."""
    runs = _runs(output_dir / "runs")
    if title == "latest" or title in runs:
        return {}
    return {name: path for name, path in runs.items() if run_title(read_json(path / "manifest.json"), name) == title}


def _runs(folder: Path) -> dict[str, Path]:
    """Return the runs with a ledger in this folder, by their id."""
    ledgers = folder.glob(f"*/{LEDGER}")
    return {path.parent.name: path.parent for path in ledgers if _STAMP.fullmatch(path.parent.name)}


def _newest(runs: Mapping[str, Path]) -> Path:
    return max(runs.values(), key=_start)


def _start(run: Path) -> tuple[float, str, int]:
    """When the run began, or was last resumed, by its manifest; else by its name, which is local time."""
    stamp, number = run.name[:15], run.name[16:]
    started = started_at(read_json(run / "manifest.json"))
    if not started:
        with contextlib.suppress(ValueError, OverflowError):
            started = datetime.strptime(stamp, "%Y%m%d_%H%M%S").astimezone().timestamp()
    return started, stamp, int(number or 1)


def started_at(manifest: Mapping[str, Any]) -> float:
    """Return when a run began, or was last resumed, in epoch seconds; 0 if its manifest does not say it."""
    try:
        return datetime.strptime(manifest["started"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0.0
