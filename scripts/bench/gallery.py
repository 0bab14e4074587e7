"""How fast the HTML gallery opens, searches, sorts and scrolls, in the installed Chromium.

``python -m scripts.bench.gallery JOB`` makes and measures the pages in its own process, since playwright needs a thread
for itself. The run's ledger is generated; report, page and thumbnails are made as after a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ImageOps

from scheduler.report.build import build_report
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.thumbnails import small_jpeg
from scheduler.report.writing import write_reports
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, PlannedRow, Row, ScoredRow
from scheduler.store.run_directory import thumbnail_path
from scripts.bench.gallery_visit import measure_page
from scripts.bench.pictures import picture
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.workplace import Workplace
from scripts.browser import chromium, missing_browser
from workers.codecs import encode_png

_CATEGORIES = ("物理", "环境", "社会", "因果", "指代")
_DRAWINGS = 24
"""The number of different sources. Each pair has its own files, which the browser reads and decodes one by one."""

_SIZE = (512, 384)
_MAX_SECONDS, _MAX_STEP_MS, _MAX_FRAME_MS = 1.0, 100.0, 20.0


def measure_gallery(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """A page with few pairs, to measure how long it takes to open, and one with many, to measure everything."""
    few, many = settings.gallery_pairs
    pages = [{"pairs": few, "frames": 0}, {"pairs": many, "frames": settings.gallery_frames}]
    content = {"pages": pages, "openings": settings.page_openings * settings.repeat}
    results = measured_apart(place, record, "gallery", "scripts.bench.gallery", content)
    return [ratio for numbers in results for ratio in _figures(numbers)]


def measured_apart(
    place: Workplace, record: Record, figure: str, module: str, content: dict[str, Any]
) -> list[dict[str, Any]]:
    """Have ``module`` measure pages in its own process; return and record what it found, nothing without a browser."""
    reason = missing_browser()
    if reason is not None:
        record({"figure": figure, "skipped": reason})
        return []
    folder = place.new_folder("p")
    job = folder / "job.json"
    job.write_text(json.dumps(content), encoding="utf-8")
    place.python("-m", module, str(job))
    results: list[dict[str, Any]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    place.clear()
    for numbers in results:
        record({"figure": figure, **numbers})
    return results


def _figures(numbers: dict[str, Any]) -> list[Ratio]:
    who = f"{numbers['pairs']:,} pairs, {numbers['page_bytes'] / 1e6:.1f} MB"
    opened = statistics.median(numbers["seconds_until_cards"])
    opens = Ratio("gallery: open", who, opened, "seconds until the first cards", target=at_most(_MAX_SECONDS))
    if "frame_ms" not in numbers:
        return [opens]
    scrolling, dragging = numbers["frame_ms"]["scrolling"], numbers["frame_ms"]["dragging"]
    slowest, median = max(numbers["search_ms"]), statistics.median(scrolling)
    return [
        Ratio(opens.figure, who, opened, opens.meaning),
        Ratio("gallery: search", who, slowest, "ms, the slowest step of typing", target=at_most(_MAX_STEP_MS)),
        Ratio("gallery: sort", who, max(numbers["sort_ms"].values()), "ms, the slowest order"),
        Ratio("gallery: frame", who, median, "ms while scrolling, the median", target=at_most(_MAX_FRAME_MS)),
        Ratio("gallery: slow frame", who, percentile(scrolling, 95), "ms while scrolling, the 95th percentile"),
        Ratio(
            "gallery: drag",
            who,
            statistics.median(dragging),
            "ms per frame, dragged through all cards within a second",
        ),
    ]


def write_page(output: Path, pairs: int) -> Path:
    """Make a run with this number of pairs, all with both thumbnails, and return its page."""
    run = output / "runs" / "20260101_000000"
    drawings = [picture(number, *_SIZE) for number in range(min(pairs, _DRAWINGS))]
    for kind, drawn in ((None, drawings), (0, [ImageOps.invert(drawing) for drawing in drawings])):
        originals = output / "drawings" / str(kind)
        originals.mkdir(parents=True)
        for number, drawing in enumerate(drawn):
            (originals / f"{number}").write_bytes(small_jpeg(encode_png(drawing)))
        for number in range(pairs):
            path = Path(thumbnail_path(run, *_key(number), kind))
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(originals / f"{number % len(drawn)}", path)
    manifest = {
        "run": run.name,
        "editor": {"type": "simulated"},
        "reward": {"type": "simulated", "parameters": {"score_range": [0, 10]}},
    }
    report = build_report(_rows(pairs), manifest=manifest, expected=Expected())
    written = write_reports(report, output, run, DEFAULT_METRICS)
    return next(path for path in written if path.suffix == ".html")


def _key(number: int) -> tuple[str, str]:
    return _CATEGORIES[number % len(_CATEGORIES)], f"pair_{number:05}"


def _rows(pairs: int) -> Iterator[Row]:
    for number in range(pairs):
        category, pair_id = _key(number)
        names: dict[str, Any] = {"category": category, "pair_id": pair_id}
        yield PlannedRow(
            **names,
            source_sha256=_sha256(f"source {number}"),
            instruction=f"Invert the colours of drawing {number}, and leave every shape and shadow where it is.",
            description=f"Soft light of many colours with film grain, drawing {number % _DRAWINGS} of {_DRAWINGS}.",
        )
        done: dict[str, Any] = {**names, "sample": 0, "attempt": 1, "identity": _sha256(f"identity {number}")}
        yield EditedRow(
            **done,
            worker=f"editor-{number % 6}",
            device="cpu",
            round=number // 6,
            started=0.0,
            finished=1.5 + number * 7 % 13 / 10,
            image=f"images/{category}/{pair_id}.png",
            sha256=_sha256(f"edit {number}"),
            size=_SIZE,
            seed=0,
        )
        yield ScoredRow(
            **done,
            pass_=0,
            worker="reward-0",
            device="cpu",
            batch=number // 4,
            started=0.0,
            finished=2.0,
            score=number * 37 % 101 / 10,
            aspects=None,
            response=f"The colours are inverted in drawing {number}, and the shapes have kept their places. The grain "
            f'is softer than in the source, which costs a little.\n{{"score": {number * 37 % 101 / 10}}}',
            method="json",
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def percentile(values: list[float], percent: int) -> float:
    """The value that this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _main(job: Path) -> None:
    content = json.loads(job.read_text(encoding="utf-8"))
    results = []
    with chromium() as browser:
        for page in content["pages"]:
            path = write_page(job.parent / f"of-{page['pairs']}", page["pairs"])
            measured = measure_page(browser, path, openings=content["openings"], frames=page["frames"])
            results.append({"pairs": page["pairs"], "page_bytes": path.stat().st_size, **measured})
    (job.parent / "results.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
