"""``series.csv``, a row for each run, and ``pairs.csv``, a row for each pair: in the form of a run's ``pairs.csv``."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from scheduler.report.pairs_csv import Cell, cell_text
from scheduler.report.series.model import RunDifference, Series, SeriesRun

_RUN = ("rank", "title", "run", "step", "model", "directory", "status", "started")
_COUNTS = ("num_pairs", "num_scored", "num_edited", "num_failed", "num_missing", "num_other")
_MEAN = ("mean", "std", "ci95_low", "ci95_high")
_DIFFERENCE = (
    "run",
    "num_pairs",
    "mean_difference",
    "ci95_low",
    "ci95_high",
    "p",
    "ci95_series_low",
    "ci95_series_high",
    "p_series",
)
_COST = (
    "seconds",
    "edit_wall_seconds",
    "edit_device_seconds",
    "score_wall_seconds",
    "score_device_seconds",
    "requests",
    "prompt_tokens",
    "completion_tokens",
)


def series_csv(series: Series) -> bytes:
    """Return the table of the runs, the best first."""
    numbers = list(dict.fromkeys(name for run in series.runs if run.official for name in run.official.numbers))
    names = [f"category:{name}" for name in series.categories]
    names += [f"dimension:{name}" for name in series.dimensions]
    names += [f"official:{name}" for name in numbers]
    compared = [f"{with_run}_{name}" for with_run in ("best", "previous") for name in _DIFFERENCE]
    fixed = (*_RUN, "ranked", "judged_alike", *_COUNTS, *_MEAN, *compared, *_COST, "official_comparable")
    ranked = ((rank, series.runs[number]) for rank, number in enumerate(series.ranking, start=1))
    return _table([*fixed, *names], (_run_row(series, rank, run, numbers) for rank, run in ranked))


def pairs_csv(series: Series) -> bytes:
    """Return the table of the pairs: the score of each in each run, empty without one, and its status."""
    columns = [f"{kind}:{run.title}" for run in series.runs for kind in ("score", "status")]
    rows = (
        [
            pair.category,
            pair.pair_id,
            *(cell for both in zip(pair.scores, pair.statuses, strict=True) for cell in both),
            pair.instruction,
        ]
        for pair in series.pairs
    )
    return _table(["category", "pair_id", *columns, "instruction"], rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(map(cell_text, headings))
    for row in rows:
        writer.writerow([cell_text(cell) if isinstance(cell, str) else cell for cell in row])
    return codecs.BOM_UTF8 + buffer.getvalue().encode()


def _run_row(series: Series, rank: int, run: SeriesRun, numbers: Sequence[str]) -> list[Cell]:
    official = run.official
    return [
        *(rank if run.ranked else None, run.title, run.run, run.step, run.model, run.directory, run.status),
        datetime.fromtimestamp(run.started, UTC).isoformat() if run.started else None,
        *map(_yes, (run.ranked, run.judged_alike)),
        *(getattr(run, name) for name in _COUNTS),
        *(run.mean, run.std, *_ends(run.ci95)),
        *_difference(series, run.best),
        *_difference(series, run.previous),
        *(getattr(run.cost, name) for name in _COST),
        None if official is None else _yes(official.comparable),
        *(group.mean if (group := run.categories.get(name)) else None for name in series.categories),
        *(group.mean if (group := run.dimensions.get(name)) else None for name in series.dimensions),
        *(official.numbers.get(name) if official else None for name in numbers),
    ]


def _difference(series: Series, difference: RunDifference | None) -> Iterator[Cell]:
    if difference is None:
        yield from [None] * len(_DIFFERENCE)
        return
    yield series.runs[difference.run].run
    yield difference.num_pairs
    yield difference.mean_difference
    yield from _ends(difference.ci95)
    yield difference.p
    yield from _ends(difference.ci95_series)
    yield difference.p_series


def _ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else interval


def _yes(value: bool) -> str:
    return "yes" if value else "no"
