"""The eight figures, in order, and what each of them needs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from scripts.bench.isolation import measure_isolation
from scripts.bench.pictures import write_benchmark
from scripts.bench.recovery import measure_recovery
from scripts.bench.settings import IMAGE_SIZE, Ratio, Record, Settings
from scripts.bench.stages import CATEGORIES, measure_overlap, measure_switches
from scripts.bench.throughput import CPUS, POOL, REWARD, measure_spread, measure_throughput
from scripts.bench.warm_start import measure_warm_start, measure_warm_start_real
from scripts.bench.workplace import Workplace

Figure = Literal[
    "throughput", "spread", "overlap", "switches", "warm-start", "warm-start-real", "isolation", "recovery"
]
FIGURES: tuple[Figure, ...] = get_args(Figure)

_ON_ONE_POOL = {
    "throughput": measure_throughput,
    "spread": measure_spread,
    "overlap": measure_overlap,
    "recovery": measure_recovery,
}
_ON_FEW_PAIRS = {
    "switches": measure_switches,
    "warm-start": measure_warm_start,
    "warm-start-real": measure_warm_start_real,
}
_FEW = 4
"""Pairs per category where their number does not matter."""


def run_suite(place: Workplace, settings: Settings, record: Record, only: Collection[Figure] = FIGURES) -> list[Ratio]:
    """Measure these figures; ``record`` takes the raw numbers as they come.

    Raises:
        BenchError: a run failed.
    """
    ratios: list[Ratio] = []
    wanted = [name for name in FIGURES if name in only]
    if any(name in _ON_ONE_POOL for name in wanted):
        data = write_benchmark(place.folder / "many.json", categories=1, pairs=settings.pairs, size=IMAGE_SIZE)
        place.start(data.path, pool=POOL, editor=CPUS, reward=REWARD)
        for name, measure in _ON_ONE_POOL.items():
            if name in wanted:
                ratios += measure(place, data, settings, record)
        place.stop(POOL)
    on_few = {name: measure for name, measure in _ON_FEW_PAIRS.items() if name in wanted}
    if on_few:
        few = write_benchmark(place.folder / "few.json", categories=CATEGORIES, pairs=_FEW, size=IMAGE_SIZE)
        for measure in on_few.values():
            ratios += measure(place, few, settings, record)
    if "isolation" in wanted:
        half = max(_FEW, settings.pairs // 2)
        fewer = write_benchmark(place.folder / "half.json", categories=1, pairs=half, size=IMAGE_SIZE)
        ratios += measure_isolation(place, fewer, settings, record)
    return ratios
