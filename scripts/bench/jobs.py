"""How many jobs per second the editors do when the devices take no time: the overhead of one job."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from scheduler.store.delivery import Delivery, LedgerEntry
from scheduler.store.rows import EditedRow, decode_row
from scheduler.store.run_directory import thumbnail_path
from scripts.bench.peer_processes import run_apart
from scripts.bench.peers import RAY, RAY_KEEPING, missing
from scripts.bench.pictures import write_pairs
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import Ratio, Record, Settings, at_least
from scripts.bench.throughput import REWARD, SWAP, spans_of
from scripts.bench.timing import throughput
from scripts.bench.workplace import Workplace

_PAYLOAD_BYTES = 64 * 1024
_PIXELS = 16
_DISTINCT = 16
_POOL = "empty"
_WRITING = "warmbench, its writing alone"


def measure_jobs(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Images of 64 KB with few pixels, and devices that take no time, with warmbench and with Ray's actor pool."""
    data = write_pairs(place.folder / "jobs.json", [settings.jobs], [payload(number) for number in range(_DISTINCT)])
    nothing = {"latency_ms": 0}
    editor = {**settings.devices, **nothing, "enable_batch_sync": False}
    place.start(data.path, pool=_POOL, editor=editor, reward=REWARD)
    best: dict[str, float] = {}
    reason = missing(RAY)
    if reason is not None:
        record({"figure": "jobs", "who": RAY, "skipped": reason})
    options = ("--no-launch", "--keep-warm")
    for number in range(settings.repeat):
        run = place.run(data.path, *options, pool=_POOL, editor=editor, reward=REWARD, sections=SWAP)
        spans = {"warmbench": spans_of(run)}
        rates = {_WRITING: _write_again(run, place.folder / f"p-again-{number}")}
        for peer in (RAY, RAY_KEEPING) if reason is None else ():
            spans[peer] = run_apart(place, peer, data.path, nothing, settings.editors)
        rates |= {who: throughput(times, settings.editors, 0.0).pairs_per_second for who, times in spans.items()}
        for who, rate in rates.items():
            best[who] = max(best.get(who, 0.0), rate)
            record({"figure": "jobs", "who": who, "repeat": number, "jobs_per_second": rate})
    # Only now: for minutes after thousands of files were deleted, ext4 searches long for a new file's inode.
    place.clear()
    place.stop(_POOL)
    ratios = [Ratio("jobs: rate", who, rate, "jobs per second") for who, rate in best.items()]
    if RAY in best:
        meaning = "jobs per second, warmbench / this"
        ratios += [
            Ratio("jobs", f"beside {RAY}", best["warmbench"] / best[RAY], meaning, target=at_least(2)),
            Ratio("jobs", f"beside {RAY_KEEPING}", best["warmbench"] / best[RAY_KEEPING], meaning),
        ]
    return ratios


def _write_again(run: FinishedRun, folder: Path) -> float:
    """Write all results of the run's jobs again, while nothing else runs; return jobs per second."""
    items = []
    for line in (run.folder / "results.jsonl").read_bytes().splitlines(keepends=True):
        row = decode_row(line)
        if isinstance(row, EditedRow):
            of_pair = (row.category, row.pair_id)
            small = [Path(thumbnail_path("", *of_pair, sample)).relative_to("/") for sample in (None, row.sample)]
            contents = {path: (run.folder / path).read_bytes() for path in (Path(row.image), *small)}
            image, *thumbnails = ((str(folder / path), content) for path, content in contents.items())
            items.append(LedgerEntry([row], image=image, thumbnails=thumbnails))
    folder.mkdir()

    def failed(error: Exception) -> None:
        raise error

    delivery = Delivery(folder / "results.jsonl", lambda event: event(), failed)
    started = time.monotonic()
    for item in items:
        delivery.put(item)
    delivery.close()
    return len(items) / (time.monotonic() - started)


def payload(number: int) -> bytes:
    """A PNG of 64 KB with few pixels, filled by a text chunk."""
    filler = np.random.default_rng(number).integers(33, 127, _PAYLOAD_BYTES, dtype=np.uint8).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("filler", filler.decode("ascii"))
    with io.BytesIO() as file:
        Image.new("RGB", (_PIXELS, _PIXELS), (number, 2 * number, 3 * number)).save(file, "PNG", pnginfo=text)
        return file.getvalue()
