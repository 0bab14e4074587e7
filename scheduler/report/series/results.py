"""What a series keeps of a run. A report of 10,000 pairs has 50 times as much."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs

from scheduler.report.gallery.pictures import ExistingFiles
from scheduler.report.gallery.run_page import score_range
from scheduler.report.model import Official, Report
from scheduler.report.run_index import run_seconds
from scheduler.report.saved_run import SavedRun, read_run
from scheduler.report.series.model import RunCost
from scheduler.statistics.describe import Interval
from scheduler.store.results import PairResult, PairStatus
from scheduler.store.run_directory import thumbnail_path

PairKey = tuple[str, str]


class PairScore(NamedTuple):
    """A run's result for one pair. ``same`` is equal for all runs that have the same source image and instruction."""

    same: int
    status: PairStatus
    score: float | None
    image: str | None
    thumbnail: str | None


class RunResults(Struct, frozen=True, kw_only=True):
    """A run: its report without the pairs, and of each pair what a series needs."""

    path: Path
    manifest: Mapping[str, Any]
    running: bool
    report: Report
    score_range: Interval
    pairs: Mapping[PairKey, PairScore]
    texts: Mapping[PairKey, str | None]
    sources: Mapping[PairKey, str]

    @property
    def stamp(self) -> str:
        """The run's id."""
        return self.path.name


def read_results(path: Path) -> RunResults:
    """Read the run in the directory ``path``. Raises ``OSError``: its ledger cannot be read."""
    run = read_run(path, path.absolute().parent.parent)
    report = run.report(intervals=False)
    official = report.official
    if official is not None and official.numbers:
        intervals = _known_intervals(run, official)
        if intervals is None:
            report = run.report()
        else:
            report = structs.replace(report, official=structs.replace(official, intervals=intervals))
    return results_of(run, report, running=run.is_running() is True)


def results_of(run: SavedRun, report: Report, *, running: bool) -> RunResults:
    """Return what a series keeps of a run and its report."""
    files = _Files(run.path)
    low, high = score_range([report])
    return RunResults(
        path=run.path,
        manifest=run.manifest,
        running=running,
        report=structs.replace(report, pairs=()),
        score_range=(low, high),
        pairs={(pair.category, pair.pair_id): files.pair_score(pair) for pair in report.pairs},
        texts={(pair.category, pair.pair_id): pair.instruction for pair in report.pairs},
        sources={
            (pair.category, pair.pair_id): source
            for pair in report.pairs
            if (source := files.thumbnail(pair, None)) is not None
        },
    )


def run_cost(report: Report) -> RunCost:
    """Return what a run took."""
    times, judge = report.performance, report.performance.judge
    return RunCost(
        seconds=run_seconds(report),
        edit_wall_seconds=times.edit.wall_seconds,
        edit_device_seconds=times.edit.device_seconds,
        score_wall_seconds=times.score.wall_seconds,
        score_device_seconds=times.score.device_seconds,
        requests=judge.requests if judge else None,
        prompt_tokens=judge.prompt_tokens if judge else None,
        completion_tokens=judge.completion_tokens if judge else None,
    )


class _WrittenOfficial(Struct):
    numbers: dict[str, float | None]
    intervals: dict[str, Interval]


class _WrittenReport(Struct):
    """What is read of ``evaluation_report_<stamp>.json``."""

    official: _WrittenOfficial | None


def _known_intervals(run: SavedRun, official: Official) -> Mapping[str, Interval] | None:
    """The intervals of the official numbers by the report beside the run, for a bootstrap takes seconds; None unless
    that report has exactly the numbers that the ledger gives now.
    """
    try:
        written = (run.output_dir / f"evaluation_report_{run.stamp}.json").read_bytes()
        known = msgspec.json.decode(written, type=_WrittenReport).official
    except (OSError, ValueError, RecursionError):
        return None
    return known.intervals if known is not None and known.numbers == official.numbers else None


class _Files:
    """The pictures of a run that are there, relative to its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._existing = ExistingFiles()

    def pair_score(self, pair: PairResult) -> PairScore:
        edited: Sequence[str] = [sample.image for sample in pair.samples if sample.sample == 0 and sample.image]
        return PairScore(
            hash((pair.source_sha256, pair.instruction)),
            pair.status,
            pair.score,
            self._image(edited[0]) if edited else None,
            self.thumbnail(pair, 0) if edited else None,
        )

    def thumbnail(self, pair: PairResult, of: int | None) -> str | None:
        try:
            path = thumbnail_path(self._folder, pair.category, pair.pair_id, of)
        except ValueError:  # an id that cannot be a file name: its pair failed to load
            return None
        return path.removeprefix(f"{self._folder}/") if path in self._existing else None

    def _image(self, image: str) -> str | None:
        return image if os.path.join(self._folder, image) in self._existing else None  # noqa: PTH118 - see base/files.py
