"""Builds a series from the results of its runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scheduler.report.compare.official_comparison import judged_by_one_protocol
from scheduler.report.model import Official, Scale
from scheduler.report.series.differences import Comparisons, changes, previous_run
from scheduler.report.series.model import RunDifference, RunOfficial, Series, SeriesRun, SettingDifference
from scheduler.report.series.pairs import check_benchmark, series_pairs, usual_pairs, usual_scores
from scheduler.report.series.results import RunResults, run_cost
from scheduler.report.series.settings import judged_alike, setting_differences
from scheduler.statistics.describe import ScoreStatistics
from scheduler.store.checkpoints import recorded_step, recorded_training
from scheduler.store.run_names import started_at
from scheduler.store.titles import run_titles


class _Place(NamedTuple):
    """What a run is called, and where it stands in the series."""

    title: str
    step: int | None
    training: str | None


class _Standing(NamedTuple):
    """What a run is beside the others."""

    settings: tuple[SettingDifference, ...]
    ranked: bool
    num_usual: int
    best: RunDifference | None
    previous: RunDifference | None


def build_series(results: Sequence[RunResults], to: Path, titles: Sequence[str] | None = None) -> Series:
    """Return the series of these runs, for a file in the folder ``to``. ``titles`` take the place of the runs' own.

    Raises:
        DifferentJudgingError: runs were judged by different protocols.
        DifferentBenchmarkError: two runs have no pair in common.
    """
    titles = titles or run_titles([(run.manifest, run.stamp) for run in results])
    judged_by_one_protocol(
        [(f"{title} ({run.stamp})", run.manifest) for run, title in zip(results, titles, strict=True)]
    )
    runs, places = _in_order(results, titles)
    check_benchmark(runs, [place.title for place in places])
    usual = usual_pairs(runs)
    scores = [usual_scores(run, usual) for run in runs]
    settings = setting_differences([run.manifest for run in runs])
    alike = [judged_alike(differences) for differences in settings]
    ranked = _ranked(runs, alike)
    ranking = sorted(range(len(runs)), key=lambda number: (not ranked[number], -_mean(runs[number])))
    best = ranking[0] if ranked[ranking[0]] else None
    trainings = [place.training for place in places]
    previous = [previous_run(trainings, alike, number) for number in range(len(runs))]
    by_step = sum(place.step is not None for place in places) > 1
    comparisons = Comparisons.of(scores, alike)
    standings = [
        _Standing(
            settings=settings[number],
            ranked=ranked[number],
            num_usual=sum(score is not None for score in scores[number]),
            best=comparisons.between(number, best),
            previous=comparisons.between(number, previous[number]),
        )
        for number in range(len(runs))
    ]
    directories = [os.path.relpath(run.path, to) for run in runs]
    official = next((run.report.official for run in runs if run.report.official is not None), None)
    return Series(
        benchmark=Path(str(_mapping(runs[0].manifest.get("data")).get("path") or "")).name,
        protocol=official.protocol if official else None,
        main=official.main if official else None,
        scale=official.scale if official else None,
        score_range=(min(run.score_range[0] for run in runs), max(run.score_range[1] for run in runs)),
        by_step=by_step,
        categories=tuple(dict.fromkeys(category for category, _ in usual)),
        dimensions=_dimensions(runs, official),
        num_comparisons=comparisons.count,
        ranking=tuple(ranking),
        runs=tuple(map(_series_run, runs, directories, places, standings)),
        changes=changes(
            list(usual), scores, comparisons, by_step=by_step, best=best, previous=previous[-1], ranking=ranking
        ),
        gate=None,
        pairs=tuple(series_pairs(runs, directories, usual)),
    )


def _in_order(results: Sequence[RunResults], titles: Sequence[str]) -> tuple[list[RunResults], list[_Place]]:
    """The runs without a step, then training after training, each by step."""
    places = [
        _Place(title, recorded_step(run.manifest), recorded_training(run.manifest))
        for run, title in zip(results, titles, strict=True)
    ]
    trainings = list(dict.fromkeys(place.training for place in places if place.step is not None))

    def order(number: int) -> tuple[int, int]:
        place = places[number]
        return (-1, 0) if place.step is None else (trainings.index(place.training), place.step)

    numbers = sorted(range(len(results)), key=order)
    return [results[number] for number in numbers], [places[number] for number in numbers]


def _ranked(runs: Sequence[RunResults], alike: Sequence[bool]) -> list[bool]:
    counts = [run.report.overall.num_samples for run in runs]
    most = max((count for count, one in zip(counts, alike, strict=True) if one), default=0)
    return [one and count > 0 and 2 * count >= most for count, one in zip(counts, alike, strict=True)]


def _mean(run: RunResults) -> float:
    mean = run.report.overall.mean
    return float("-inf") if mean is None else mean


def _dimensions(runs: Sequence[RunResults], official: Official | None) -> dict[str, Scale | None]:
    names = dict.fromkeys(name for run in runs for name in run.report.overall.dimensions)
    return {name: official.dimensions.get(name) if official else None for name in names}


def _series_run(run: RunResults, directory: str, place: _Place, standing: _Standing) -> SeriesRun:
    report, overall = run.report, run.report.overall
    return SeriesRun(
        run=run.stamp,
        title=place.title,
        directory=directory,
        model=_model(run.manifest),
        step=place.step,
        training=place.training,
        started=started_at(run.manifest),
        status=report.status,
        running=run.running,
        notes=report.notes,
        num_pairs=overall.num_pairs,
        num_scored=overall.num_samples,
        num_edited=overall.num_edited,
        num_failed=overall.num_failed,
        num_missing=overall.num_missing,
        num_other=overall.num_samples - standing.num_usual,
        mean=overall.mean,
        std=overall.std,
        ci95=overall.ci95,
        categories={name: _statistics(group) for name, group in report.category_statistics.items()},
        dimensions=overall.dimensions,
        official=_official(report.official),
        judged_alike=judged_alike(standing.settings),
        ranked=standing.ranked,
        settings=standing.settings,
        best=standing.best,
        previous=standing.previous,
        cost=run_cost(report),
        failures=report.failures,
    )


def _statistics(group: ScoreStatistics) -> ScoreStatistics:
    return ScoreStatistics(**{name: getattr(group, name) for name in ScoreStatistics.__struct_fields__})


def _official(official: Official | None) -> RunOfficial | None:
    if official is None:
        return None
    return RunOfficial(**{name: getattr(official, name) for name in RunOfficial.__struct_fields__})


def _model(manifest: Mapping[str, Any]) -> str | None:
    for block, name in (("edits", "from"), ("editor", "model_name"), ("editor", "type")):
        value = _mapping(manifest.get(block)).get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
