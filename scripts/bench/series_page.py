"""How fast the page of a series opens, searches, scrolls and goes from run to run, in the installed Chromium.

``python -m scripts.bench.series_page JOB`` makes and measures the pages in its own process, as ``gallery.py`` beside it
does. The runs' ledgers are generated; the series and its page are made as by ``warmbench series``,
without the plots.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from scheduler.report.series.writing import write_series
from scripts.bench.gallery import measured_apart, percentile
from scripts.bench.gallery_visit import measure_page
from scripts.bench.series_runs import write_runs
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.workplace import Workplace
from scripts.browser import chromium

_MAX_SECONDS, _MAX_FRAME_MS = 1.0, 20.0


def measure_series_page(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """A page with many runs of few pairs, to measure how long it takes to open, and one with many pairs, to use it."""
    content = {
        "pages": settings.series_pages,
        "frames": settings.gallery_frames,
        "openings": settings.page_openings * settings.repeat,
    }
    results = measured_apart(place, record, "series-page", "scripts.bench.series_page", content)
    return [ratio for numbers in results for ratio in _figures(numbers)]


def _figures(numbers: dict[str, Any]) -> list[Ratio]:
    who = f"{numbers['runs']} runs of {numbers['pairs']:,} pairs, {numbers['page_bytes'] / 1e6:.1f} MB"
    few = numbers["pairs"] < 1000
    opened = statistics.median(numbers["seconds_until_cards"])
    ratios = [
        Ratio(
            "series-page: open",
            who,
            opened,
            "seconds until the first cards",
            target=at_most(_MAX_SECONDS) if few else None,
        ),
        Ratio("series-page: search", who, max(numbers["search_ms"]), "ms, the slowest step of typing"),
        Ratio("series-page: sort", who, max(numbers["sort_ms"].values()), "ms, the slowest order"),
    ]
    for name in ("scrolling", "sliding"):
        frames = numbers["frame_ms"][name]
        figure = f"series-page: {name}"
        ratios += [
            Ratio(figure, who, statistics.median(frames), "ms per frame, the median", target=at_most(_MAX_FRAME_MS)),
            Ratio(figure, who, percentile(frames, 95), "ms per frame, the 95th percentile"),
            Ratio(figure, who, max(frames), "ms, the longest frame"),
        ]
    return ratios


def _main(job: Path) -> None:
    content = json.loads(job.read_text(encoding="utf-8"))
    results = []
    with chromium() as browser:
        for runs, pairs in content["pages"]:
            output = job.parent / f"{runs}-of-{pairs}"
            write_series(write_runs(output, runs=runs, pairs=pairs), output, plots=False)  # the page has links to them
            page = output / "series.html"
            measured = measure_page(browser, page, openings=content["openings"], frames=content["frames"])
            results.append({"runs": runs, "pairs": pairs, "page_bytes": page.stat().st_size, **measured})
    (job.parent / "results.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
