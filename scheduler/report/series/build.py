"""Builds a series from the results of its runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.report.compare.official_comparison import judged_by_one_protocol
from scheduler.report.model import Official, Scale
from scheduler.report.series.differences import Comparisons, changes, previous_run
from scheduler.report.series.model import (
    RunOfficial,
    Series,
    SeriesPair,
    SeriesPairStatus,
    SeriesRun,
    SettingDifference,
)
from scheduler.report.series.results import PairKey, PairScore, RunResults, run_cost
from scheduler.report.series.settings import judged_alike, setting_differences
from scheduler.statistics.describe import ScoreStatistics
from scheduler.store.checkpoints import recorded_step, recorded_training
from scheduler.store.run_names import started_at
from scheduler.store.titles import run_titles


class DifferentBenchmarkError(ValueError):
    """A run has no pair in common with the others."""


def build_series(results: Sequence[RunResults], to: Path) -> Series:
    """Return the series of these runs, for a file in the folder ``to``.

    Raises:
        ValueError: runs were judged by different protocols, or have no pair in common.
    """
    titles = dict(
        zip((run.path for run in results), run_titles([(run.manifest, run.stamp) for run in results]), strict=True)
    )
    judged_by_one_protocol([(f"{titles[run.path]} ({run.stamp})", run.manifest) for run in results])
    steps = {run.path: (recorded_step(run.manifest), recorded_training(run.manifest)) for run in results}
    trainings = list(dict.fromkeys(training for step, training in steps.values() if step is not None))
    runs = sorted(results, key=lambda run: _place(steps[run.path], trainings))
    usual = _usual_pairs(runs)
    _check_benchmark(runs, titles)
    scores = [_scores(run, usual) for run in runs]
    settings = setting_differences([run.manifest for run in runs])
    alike = [judged_alike(differences) for differences in settings]
    ranked = _ranked(runs, alike)
    ranking = sorted(range(len(runs)), key=lambda number: (not ranked[number], -_mean(runs[number])))
    best = ranking[0] if ranked[ranking[0]] else None
    comparisons = Comparisons.of(scores)
    in_order = [steps[run.path][1] for run in runs]
    by_step = sum(step is not None for step, _ in steps.values()) > 1
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
        runs=tuple(
            _series_run(
                run,
                to,
                title=titles[run.path],
                step=steps[run.path],
                settings=settings[number],
                ranked=ranked[number],
                scores=scores[number],
                comparisons=comparisons,
                number=number,
                best=best,
                previous=previous_run(in_order, number),
            )
            for number, run in enumerate(runs)
        ),
        changes=changes(
            list(usual),
            scores,
            by_step=by_step,
            best=best,
            previous=previous_run(in_order, len(runs) - 1),
            ranking=ranking,
        ),
        gate=None,
        pairs=tuple(_pair(key, runs, usual[key], to) for key in usual),
    )


def _place(step: tuple[int | None, str | None], trainings: Sequence[str | None]) -> tuple[int, int]:
    number, training = step
    return (-1, 0) if number is None else (trainings.index(training), number)


def _usual_pairs(runs: Sequence[RunResults]) -> dict[PairKey, int]:
    """Each pair, in the benchmark's order, as most runs have it; of equally many, the earlier are usual."""
    counts: dict[PairKey, Counter[int]] = {}
    for run in runs:
        for key, pair in run.pairs.items():
            counts.setdefault(key, Counter())[pair.same] += pair.score is not None
    return {key: max(of_pair, key=of_pair.__getitem__) for key, of_pair in counts.items()}


def _check_benchmark(runs: Sequence[RunResults], titles: Mapping[Path, str]) -> None:
    first, *others = runs
    for run in others:
        common = run.pairs.keys() & first.pairs.keys()
        scored = any(pair.score is not None for pair in run.pairs.values())
        alike = any(run.pairs[key].same == first.pairs[key].same for key in common) or (common and not scored)
        if run.pairs and first.pairs and not alike:
            raise DifferentBenchmarkError(
                f"{titles[first.path]} ({first.stamp}) and {titles[run.path]} ({run.stamp}) can't be compared: they "
                "have no pair in common. Make a series of each benchmark"
            )


def _status(pair: PairScore | None, same: int) -> SeriesPairStatus:
    if pair is None:
        return "absent"
    return "other" if pair.score is not None and pair.same != same else pair.status


def _scores(run: RunResults, usual: Mapping[PairKey, int]) -> list[float | None]:
    found = ((run.pairs.get(key), same) for key, same in usual.items())
    return [pair.score if pair is not None and pair.same == same else None for pair, same in found]


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


def _series_run(
    run: RunResults,
    to: Path,
    *,
    title: str,
    step: tuple[int | None, str | None],
    settings: tuple[SettingDifference, ...],
    ranked: bool,
    scores: Sequence[float | None],
    comparisons: Comparisons,
    number: int,
    best: int | None,
    previous: int | None,
) -> SeriesRun:
    report, overall = run.report, run.report.overall
    return SeriesRun(
        run=run.stamp,
        title=title,
        directory=os.path.relpath(run.path, to),
        model=_model(run.manifest),
        step=step[0],
        training=step[1],
        started=started_at(run.manifest),
        status=report.status,
        running=run.running,
        notes=report.notes,
        num_pairs=overall.num_pairs,
        num_scored=overall.num_samples,
        num_edited=overall.num_edited,
        num_failed=overall.num_failed,
        num_missing=overall.num_missing,
        num_other=overall.num_samples - sum(score is not None for score in scores),
        mean=overall.mean,
        std=overall.std,
        ci95=overall.ci95,
        categories={name: _statistics(group) for name, group in report.category_statistics.items()},
        dimensions=overall.dimensions,
        official=_official(report.official),
        judged_alike=judged_alike(settings),
        ranked=ranked,
        settings=settings,
        best=comparisons.between(number, best),
        previous=comparisons.between(number, previous),
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


def _pair(key: PairKey, runs: Sequence[RunResults], same: int, to: Path) -> SeriesPair:
    found = [run.pairs.get(key) for run in runs]
    usual = [run for run, pair in zip(runs, found, strict=True) if pair is not None and pair.same == same]
    sources = (os.path.relpath(run.path / source, to) for run in usual if (source := run.sources.get(key)) is not None)
    return SeriesPair(
        category=key[0],
        pair_id=key[1],
        instruction=next((run.texts.get(key) for run in usual), None),
        source=next(sources, None),
        statuses=tuple(_status(pair, same) for pair in found),
        scores=tuple(pair.score if pair is not None and pair.same == same else None for pair in found),
        images=tuple(pair.image if pair is not None else None for pair in found),
        thumbnails=tuple(pair.thumbnail if pair is not None else None for pair in found),
    )
