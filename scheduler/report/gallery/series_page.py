"""The page of a series of runs: its JSON form, with the pairs written shorter and the URLs of pictures and pages."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import structs
from PIL import Image

from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.page_values import page_value, text_limit
from scheduler.report.model import Scale
from scheduler.report.series.model import Series, SeriesPair, SeriesRun

_LETTERS = {"scored": "s", "edited": "e", "failed": "f", "missing": "m", "absent": "a", "other": "o"}
_MEASURED = 50
_SCRIPTS = (
    "axes",
    "series_data",
    "series_metrics",
    "series_plot",
    "series_board",
    "series_scores",
    "series_table",
    "series_timeline",
    "series_card",
    "series_detail",
    "series_sections",
    "series_page",
)


def render_series(series: Series, folder: Path, links: Sequence[str]) -> bytes:
    """Return the page as UTF-8 HTML, for a file in ``folder``. ``links`` are the series' other files in this folder."""
    limit = text_limit(_lengths(series))
    title = series_title(series)
    page = {
        "title": page_value(title, limit),
        "range": series.score_range,
        "dimensions": [[name, _dimension(series, scale)] for name, scale in series.dimensions.items()],
        "links": [[name, quote(name)] for name in links],
        "runs": [_run(run, folder) for run in series.runs],
        "ratio": _usual_ratio(series, folder),
        "text_limit": limit,
    }
    head = structs.replace(series, pairs=())
    return render_page(
        title=f"{title} · warmbench",
        scripts=_SCRIPTS,
        styles=("series",),
        data={
            "page": page,
            "series": page_value(msgspec.to_builtins(head), limit),
            "pairs": [_pair(pair, limit) for pair in series.pairs],
        },
    )


def series_title(series: Series) -> str:
    """What the runs have in common: the folder of their checkpoints, else the benchmark."""
    trainings = {run.training for run in series.runs if run.training is not None}
    if len(trainings) == 1:
        return PurePosixPath(trainings.pop()).name or series.benchmark
    titles = [run.title for run in series.runs]
    return " / ".join(titles) if len(titles) <= 2 else series.benchmark or titles[0]


def _run(run: SeriesRun, folder: Path) -> dict[str, Any]:
    gallery = _gallery(folder, run)
    return {"base": _quoted(run.directory) + "/", **({} if gallery is None else {"gallery": _quoted(gallery)})}


def _dimension(series: Series, scale: Scale | None) -> dict[str, Any]:
    if scale is None:
        return {"range": series.score_range, "better": "higher"}
    return {"range": [scale.low, scale.high], "better": scale.better}


def _gallery(folder: Path, run: SeriesRun) -> str | None:
    """The run's own page, relative to ``folder``, if it exists."""
    directory = PurePosixPath(run.directory)
    output_dir = directory.parent.parent if directory.parent.name == "runs" else directory
    page = output_dir / f"evaluation_report_{run.run}.html"
    return str(page) if (folder / page).is_file() else None


def _usual_ratio(series: Series, folder: Path) -> float:
    """The median shape of the first sources, width by height."""
    ratios = []
    for source in [pair.source for pair in series.pairs if pair.source is not None][:_MEASURED]:
        with contextlib.suppress(OSError, ValueError), Image.open(folder / source, formats=["JPEG"]) as image:
            ratios.append(image.width / image.height)
    return min(1.5, max(0.8, statistics.median(ratios))) if ratios else 1.0


def _pair(pair: SeriesPair, limit: int) -> dict[str, Any]:
    """A pair without what most pairs have in common: only statuses that are not ``scored``, and a path that is the same
    in all runs once.
    """
    statuses = "".join(_LETTERS[status] for status in pair.statuses)
    short: dict[str, Any] = {
        "category": pair.category,
        "pair_id": pair.pair_id,
        "instruction": pair.instruction,
        "source": None if pair.source is None else _quoted(pair.source),
        "scores": pair.scores,
        "statuses": statuses if statuses.strip("s") else None,
        "thumbnails": _paths(pair.thumbnails),
        "images": _paths(pair.images),
    }
    value: dict[str, Any] = page_value(short, limit)
    return value


def _paths(paths: Sequence[str | None]) -> str | list[str | None] | None:
    urls = [None if path is None else _url(path) for path in paths]
    return urls[0] if len(set(urls)) == 1 else urls


def _url(path: str) -> str:
    return f"file://{_quoted(path)}" if path.startswith("/") else _quoted(path)


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))


def _lengths(series: Series) -> Iterator[int]:
    for pair in series.pairs:
        yield len(pair.instruction or "")
    for run in series.runs:
        yield from map(len, run.notes)
        yield from (len(failure.message) for failure in run.failures)
