"""Figure 5: how long a user waits for the first pair, with a pool that is launched and with one that is kept warm."""

from __future__ import annotations

from scripts.bench.pictures import PictureBenchmark
from scripts.bench.settings import Ratio, Record, Settings
from scripts.bench.workplace import FinishedRun, Workplace

POOL = "warm"


def measure_warm_start(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """From the start of the run's process to the first pair on a device: a second run on the pool that the first left.

    All models load at once, which is the cold run's best case.
    """
    best = float("inf")
    for number in range(settings.repeat):
        seconds = {}
        for who in ("cold", "warm"):
            run = place.run(
                data.path,
                "--keep-warm",
                pool=POOL,
                editor={"device_ids": ["cpu", "cpu"], "latency_ms": 20, "load_seconds": settings.load_seconds},
                reward={"device": "cpu", "latency_ms": 20, "load_seconds": settings.load_seconds},
                sections={"pool": {"load_in_parallel": True}},
            )
            seconds[who] = _until_first_pair(run)
            record({"figure": "warm-start", "who": who, "repeat": number, "seconds": seconds[who]})
            place.clear()
        place.stop(POOL)
        best = min(best, seconds["warm"] / seconds["cold"])
    meaning = "the wait for the first pair, pool kept warm / pool launched; less is better"
    return [Ratio("warm-start", "warmbench, --keep-warm", best, meaning)]


def _until_first_pair(run: FinishedRun) -> float:
    return min(float(row["started"]) for row in run.of("edited")) - run.launched
