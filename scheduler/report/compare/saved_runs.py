"""Compares runs as their directories have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from scheduler.report.compare.comparison import compare
from scheduler.report.compare.comparison_report import ComparedRun, Comparison, ComparisonReport
from scheduler.report.compare.official_comparison import judged_by_one_protocol
from scheduler.report.model import Report
from scheduler.report.saved_run import SavedRun
from scheduler.report.series.build import build_series
from scheduler.report.series.model import Series
from scheduler.report.series.pairs import DifferentBenchmarkError
from scheduler.report.series.results import results_of
from scheduler.store.manifest_differences import manifest_differences
from scheduler.store.titles import run_titles


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """One of the runs with its report. ``label`` is a letter, ``A`` for the first. ``running``: it is not over yet."""

    label: str
    title: str
    saved: SavedRun
    report: Report
    running: bool


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """The runs in their order, and each but the first compared with the first. ``series`` is that of more than two runs
    of one benchmark, each called by its label and its title, without their pairs.
    """

    runs: tuple[LoadedRun, ...]
    comparisons: tuple[Comparison, ...]
    fail_if_worse: float | None
    series: Series | None

    def report(self) -> ComparisonReport:
        """The comparison's JSON form."""
        return ComparisonReport(
            runs=tuple(map(_compared_run, self.runs)),
            fail_if_worse=self.fail_if_worse,
            series=self.series,
            comparisons=self.comparisons,
        )


def compare_saved_runs(runs: Sequence[SavedRun], fail_if_worse: float | None, *, pixels: bool = False) -> ComparedRuns:
    """Read the runs and compare each with the first, with ``pixels`` also the edits themselves.

    Raises:
        OSError: a ledger cannot be read.
        DifferentJudgingError: two runs were judged by different protocols.
    """
    judged_by_one_protocol([(f"{_label(number)} ({run.stamp})", run.manifest) for number, run in enumerate(runs)])
    loaded = []
    titles = run_titles([(run.manifest, run.stamp) for run in runs])
    for number, (run, title) in enumerate(zip(runs, titles, strict=True)):
        running = run.is_running() is True
        loaded.append(LoadedRun(_label(number), title, run, run.report(intervals=False), running))
    first = loaded[0]
    comparisons = [
        compare(
            first.report,
            other.report,
            labels=(first.label, other.label),
            settings=_settings(first.saved, other.saved),
            fail_if_worse=fail_if_worse,
        )
        for other in loaded[1:]
    ]
    if pixels:
        from scheduler.report.compare.pixels import compare_pixels  # imports numpy, which --help does not need

        comparisons = [
            structs.replace(
                comparison, pixels=compare_pixels(first.report, other.report, (first.saved.path, other.saved.path))
            )
            for comparison, other in zip(comparisons, loaded[1:], strict=True)
        ]
    return ComparedRuns(tuple(loaded), tuple(comparisons), fail_if_worse, _series(loaded))


def _series(runs: Sequence[LoadedRun]) -> Series | None:
    if len(runs) <= 2:
        return None
    results = [results_of(run.saved, run.report, running=run.running) for run in runs]
    titles = [f"{run.label}: {run.title}" for run in runs]
    try:
        return structs.replace(build_series(results, Path(), titles), pairs=(), changes=())
    except DifferentBenchmarkError:
        return None


def _compared_run(run: LoadedRun) -> ComparedRun:
    report = run.report
    return ComparedRun(
        label=run.label,
        run=run.saved.stamp,
        title=run.title,
        directory=str(run.saved.path.absolute()),
        status=report.status,
        running=run.running,
        num_pairs=report.overall.num_pairs,
        num_samples=report.overall.num_samples,
        notes=report.notes,
    )


def _label(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"R{number + 1}"


def _settings(first: SavedRun, other: SavedRun) -> tuple[str, ...]:
    try:
        return tuple(manifest_differences(first.manifest, other.manifest))
    except (AttributeError, KeyError, TypeError) as error:
        return (f"unknown: a manifest does not have this version's form ({type(error).__name__}: {error})",)
