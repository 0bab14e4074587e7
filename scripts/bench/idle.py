"""The CPU time of an idle pool."""

from __future__ import annotations

import time

from scripts.bench.pictures import write_benchmark
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD, SWAP
from scripts.bench.workplace import Workplace

_POOL = "idle"


def measure_idle(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """The CPU time of a launcher, its editors and a reward that are idle after a run."""
    data = write_benchmark(place.folder / "idle.json", categories=1, pairs=settings.editors, size=settings.image_size)
    place.run(data.path, "--keep-warm", pool=_POOL, editor=settings.devices, reward=REWARD, sections=SWAP)
    place.clear()
    processes = place.pool_processes(_POOL)

    def cpu_seconds() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    best = float("inf")
    for number in range(settings.repeat):
        before, started = cpu_seconds(), time.monotonic()
        time.sleep(settings.idle_seconds)
        seconds, elapsed = cpu_seconds() - before, time.monotonic() - started
        best = min(best, seconds / elapsed)
        record({"figure": "idle", "repeat": number, "cpu_seconds": seconds, "seconds": elapsed})
    place.stop(_POOL)
    return [Ratio("idle", f"{len(processes)} processes", best, "CPU seconds per second", target=at_most(0.01))]
