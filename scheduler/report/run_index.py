"""The runs of an output folder in short. What each file said is kept in an index, so that a thousand runs list at once.

The index is never trusted over the files: an entry counts only while ledger and manifest have the stamps that they had.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scheduler.base.files import write_atomically
from scheduler.report.model import Report, ReportStatus
from scheduler.report.saved_run import SavedRun, read_run
from scheduler.statistics.describe import Interval
from scheduler.store.ledger import LEDGER
from scheduler.store.run_names import run_folders, started_at
from scheduler.store.titles import run_title

INDEX = ".index.json"
_VERSION = 1

Stamps = tuple[int, int, int, int]


class RunSummary(Struct, frozen=True, kw_only=True):
    """One run. ``started`` is in epoch seconds, 0 if unknown; ``seconds`` is the time of its stages.

    ``mean`` is over the scored pairs, ``ci95`` its interval. ``official`` is the main number of its protocol, by the
    name ``official_name``.
    """

    run: str
    title: str
    status: ReportStatus
    started: float
    benchmark: str
    protocol: str | None
    num_pairs: int
    num_scored: int
    num_failed: int
    mean: float | None
    ci95: Interval | None
    official_name: str | None
    official: float | None
    seconds: float | None


class _Entry(Struct, frozen=True, kw_only=True):
    stamps: Stamps
    summary: RunSummary


class _Index(Struct, frozen=True, kw_only=True):
    version: int
    entries: dict[str, _Entry]


def list_runs(output_dir: Path) -> tuple[list[RunSummary], list[str]]:
    """Return the runs of the folder, the newest last, and a line for each that cannot be read."""
    path = output_dir / "runs" / INDEX
    known = _read(path)
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    for folder in run_folders(output_dir):
        try:
            stamps = _stamps(folder)
            entry = known.get(folder.name)
            if entry is None or entry.stamps != stamps:
                entry = _Entry(stamps=stamps, summary=summarize(read_run(folder, output_dir)))
            entries[folder.name] = entry
        except (OSError, ValueError) as error:
            problems.append(f"{folder}: {error}")
    if entries != known:
        with contextlib.suppress(OSError):  # a folder that cannot be written to is listed all the same
            write_atomically(str(path), msgspec.json.encode(_Index(version=_VERSION, entries=entries)))
    return [entry.summary for entry in entries.values()], problems


def summarize(run: SavedRun) -> RunSummary:
    """Return a run in short. Raises ``OSError``: its ledger cannot be read."""
    report = run.report(intervals=False)
    official, overall = report.official, report.overall
    main = official.main if official is not None else None
    return RunSummary(
        run=run.stamp,
        title=run_title(run.manifest, run.stamp),
        status=report.status,
        started=started_at(run.manifest),
        benchmark=Path(str(_of(run.manifest, "data").get("path") or "")).name,
        protocol=official.protocol if official is not None else None,
        num_pairs=overall.num_pairs,
        num_scored=overall.num_samples,
        num_failed=overall.num_failed,
        mean=overall.mean,
        ci95=overall.ci95,
        official_name=main,
        official=official.numbers.get(main) if official is not None and main is not None else None,
        seconds=run_seconds(report),
    )


def run_seconds(report: Report) -> float | None:
    """Return how long the stages of a run took; None if none has ended."""
    stages = (report.performance.edit, report.performance.score)
    return max((stage.wall_seconds for stage in stages if stage.wall_seconds is not None), default=None)


def _of(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = manifest.get(name)
    return value if isinstance(value, Mapping) else {}


def _stamps(folder: Path) -> Stamps:
    ledger = (folder / LEDGER).stat()
    manifest = folder / "manifest.json"
    described = manifest.stat() if manifest.exists() else None
    return (
        ledger.st_mtime_ns,
        ledger.st_size,
        described.st_mtime_ns if described else 0,
        described.st_size if described else 0,
    )


def _read(path: Path) -> dict[str, _Entry]:
    try:
        index = msgspec.json.decode(path.read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError, RecursionError, ValueError):
        return {}
    return index.entries if index.version == _VERSION else {}
