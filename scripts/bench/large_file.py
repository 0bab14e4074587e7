"""A benchmark file of hundreds of megabytes: the scheduler's memory, and the wait for the first pair."""

from __future__ import annotations

import time

from scripts.bench.memory import peak_memory
from scripts.bench.pictures import picture, write_pairs
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD
from scripts.bench.workplace import Workplace
from workers.codecs import encode_png

_SIDE = 1024
_DISTINCT = 8
_LATENCY_MS = 100.0


def measure_large_file(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """A whole run with a JSON file of base64 images, on a pool that is not up yet."""
    images = [encode_png(picture(number, _SIDE)) for number in range(_DISTINCT)]
    pairs = max(1, round(settings.large_megabytes * 1e6 / (sum(map(len, images)) / len(images) * 4 / 3)))
    data = write_pairs(place.folder / "large.json", [pairs], images)
    size = data.path.stat().st_size
    best_memory = best_wait = float("inf")
    for number in range(settings.repeat):
        run = place.start_run(
            data.path, pool=f"large-{number}", editor={**settings.devices, "latency_ms": _LATENCY_MS}, reward=REWARD
        )
        peak = 0
        while run.process.poll() is None:
            peak = max(peak, peak_memory(run.process.pid))
            time.sleep(0.05)
        finished = run.finish()
        wait = min(float(row["started"]) for row in finished.of("edited")) - finished.launched
        best_memory, best_wait = min(best_memory, peak), min(best_wait, wait)
        numbers = {"file_bytes": size, "pairs": pairs, "peak_bytes": peak, "seconds_until_first_pair": wait}
        record({"figure": "large-file", "repeat": number, **numbers})
        place.clear()
    data.path.unlink()
    name = f"{size / 1e6:.0f} MB, {pairs} pairs"
    return [
        Ratio("large-file: memory", name, best_memory / 1e6, "MB, the scheduler's peak", target=at_most(300)),
        Ratio("large-file: wait", name, best_wait, "seconds from the start to the first pair", target=at_most(10)),
    ]
