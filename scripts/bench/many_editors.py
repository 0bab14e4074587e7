"""Sixty-four editors on this machine's cores: barriers, start-up, memory."""

from __future__ import annotations

import time

from scripts.bench.memory import pool_memory
from scripts.bench.pictures import write_benchmark
from scripts.bench.settings import Ratio, Record, Settings, at_least
from scripts.bench.throughput import REWARD, SHARE, SWAP, spans_of
from scripts.bench.timing import throughput
from scripts.bench.workplace import Workplace

_POOL = "many"


def measure_many_editors(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """A few rounds with barriers. Start-up is from the command to the last ready worker, with nothing to load."""
    editors, pairs = settings.many_editors, settings.many_editors * settings.many_rounds
    data = write_benchmark(place.folder / "crowd.json", categories=1, pairs=pairs, size=settings.image_size)
    editor = {"device_ids": ["cpu"] * editors, "latency_ms": settings.many_latency_ms, "enable_batch_sync": True}
    parallel = {"pool": {"load_in_parallel": True}}
    started = time.monotonic()
    place.start(data.path, pool=_POOL, editor=editor, reward=REWARD, sections=parallel)
    start_seconds = time.monotonic() - started
    idle = pool_memory(place.pool_processes(_POOL))
    ideal = settings.many_rounds * settings.many_latency_ms / 1000
    best = 0.0
    for number in range(settings.repeat):
        options = ("--keep-warm", "--no-launch")
        run = place.run(data.path, *options, pool=_POOL, editor=editor, reward=REWARD, sections={**SWAP, **parallel})
        result = throughput(spans_of(run), editors, ideal)
        best = max(best, result.share)
        after = pool_memory(place.pool_processes(_POOL))
        record(
            {
                "figure": "many-editors",
                "repeat": number,
                **result.as_dict(),
                "start_seconds": start_seconds,
                "pool_bytes_idle": idle,
                "pool_bytes_after": after,
                "report": run.report["performance"],
            }
        )
        place.clear()
    place.stop(_POOL)
    return [
        Ratio("many-editors", f"warmbench, {editors} editors", best, SHARE, target=at_least(0.92)),
        Ratio("many-editors: start", "all ready", start_seconds, "seconds"),
        Ratio("many-editors: memory", "launcher and workers", after / 2**20, "MiB in all, shared pages once"),
    ]
