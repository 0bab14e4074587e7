"""How long delivery takes when the devices keep every core busy."""

from __future__ import annotations

import os

from scripts.bench.pictures import write_benchmark
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD, SWAP, spans_of
from scripts.bench.workplace import Workplace


def measure_busy_cores(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """The longest time from a device's end to the image on disk, with one spinning editor per core, and with all."""
    cores = len(os.sched_getaffinity(0))
    meaning = "the longest time from a device's end to the image on disk, in edits; less is better"
    counts = {"an editor a core": cores, f"{settings.editors} editors": settings.editors}
    ratios = []
    for name, editors in counts.items():
        pairs = editors * settings.burn_rounds
        data = write_benchmark(place.folder / "burn.json", categories=1, pairs=pairs, size=settings.image_size)
        best = float("inf")
        for number in range(settings.repeat):
            editor = {
                "device_ids": ["cpu"] * editors,
                "latency_ms": settings.latency_ms,
                "burn_cpu": True,
                "enable_batch_sync": False,
            }
            run = place.run(data.path, pool=f"burn-{editors}-{number}", editor=editor, reward=REWARD, sections=SWAP)
            waits = sorted((span.delivered - span.finished) * 1000 / settings.latency_ms for span in spans_of(run))
            best = min(best, waits[-1])
            median = waits[len(waits) // 2]
            numbers = {"editors": editors, "longest_in_edits": waits[-1], "median_in_edits": median}
            record({"figure": "busy-cores", "who": name, "repeat": number, **numbers})
            place.clear()
        target = at_most(2) if editors == cores else None
        ratios.append(Ratio("busy-cores", f"warmbench, {name}", best, meaning, target=target))
    return ratios
