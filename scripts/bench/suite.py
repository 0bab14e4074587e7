"""All figures, in order, and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from scripts.bench.busy_cores import measure_busy_cores
from scripts.bench.endurance import measure_endurance
from scripts.bench.gallery import measure_gallery
from scripts.bench.idle import measure_idle
from scripts.bench.isolation import measure_isolation
from scripts.bench.jobs import measure_jobs
from scripts.bench.judging import measure_judging
from scripts.bench.large_file import measure_large_file
from scripts.bench.large_table import measure_large_table
from scripts.bench.logits import measure_logits
from scripts.bench.many_editors import measure_many_editors
from scripts.bench.old_system import measure_old_system
from scripts.bench.ordering import measure_ordering
from scripts.bench.pictures import PictureBenchmark, write_benchmark
from scripts.bench.placed_by_ray import measure_placed_by_ray
from scripts.bench.recovery import measure_recovery
from scripts.bench.series_page import measure_series_page
from scripts.bench.settings import Ratio, Record, Settings
from scripts.bench.stages import CATEGORIES, measure_overlap, measure_switches
from scripts.bench.sweep import measure_sweep
from scripts.bench.throughput import POOL, REWARD, measure_long, measure_spread, measure_throughput
from scripts.bench.transport import measure_transport
from scripts.bench.warm_start import measure_warm_start, measure_warm_start_real
from scripts.bench.workplace import Workplace

_OnData = Callable[[Workplace, PictureBenchmark, Settings, Record], list[Ratio]]
_Alone = Callable[[Workplace, Settings, Record], list[Ratio]]

_ON_ONE_POOL: Mapping[str, _OnData] = {
    "throughput": measure_throughput,
    "long-edits": measure_long,
    "spread": measure_spread,
    "overlap": measure_overlap,
    "recovery": measure_recovery,
}
_ON_FEW_PAIRS: Mapping[str, _OnData] = {
    "switches": measure_switches,
    "warm-start": measure_warm_start,
    "warm-start-real": measure_warm_start_real,
    "sweep": measure_sweep,
}
_ALONE: Mapping[str, _Alone] = {
    "ordering": measure_ordering,
    "transport": measure_transport,
    "busy-cores": measure_busy_cores,
    "judging": measure_judging,
    "logits": measure_logits,
    "idle": measure_idle,
}
_ASKED_FOR: Mapping[str, _Alone] = {
    "old-system": measure_old_system,
    "many-editors": measure_many_editors,
    "large-file": measure_large_file,
    "large-table": measure_large_table,
    "endurance": measure_endurance,
    "gallery": measure_gallery,
    "series-page": measure_series_page,
    "placed-by-ray": measure_placed_by_ray,
}
"""Figures that take minutes, or gigabytes, or need a browser."""

_FEW = 4
"""Pairs per category, for figures where the number does not matter."""

DEFAULT: Sequence[str] = ("jobs", *_ON_ONE_POOL, *_ON_FEW_PAIRS, "isolation", *_ALONE)
FIGURES: Sequence[str] = (*DEFAULT, *_ASKED_FOR)


def run_suite(place: Workplace, settings: Settings, record: Record, only: Collection[str] = DEFAULT) -> list[Ratio]:
    """Measure these figures; ``record`` stores the raw numbers.

    Raises:
        BenchError: a run failed.
    """
    ratios: list[Ratio] = []
    if "jobs" in only:
        # First: for minutes after other figures' files were deleted, ext4 searches long for free inodes.
        ratios += measure_jobs(place, settings, record)
    on_one_pool = [measure for name, measure in _ON_ONE_POOL.items() if name in only]
    if on_one_pool:
        data = write_benchmark(place.folder / "many.json", categories=1, pairs=settings.pairs, size=settings.image_size)
        place.start(data.path, pool=POOL, editor=settings.devices, reward=REWARD)
        for measure in on_one_pool:
            ratios += measure(place, data, settings, record)
        place.stop(POOL)
    on_few_pairs = [measure for name, measure in _ON_FEW_PAIRS.items() if name in only]
    if on_few_pairs:
        few = write_benchmark(place.folder / "few.json", categories=CATEGORIES, pairs=_FEW, size=settings.image_size)
        for measure in on_few_pairs:
            ratios += measure(place, few, settings, record)
    if "isolation" in only:
        half = max(_FEW, settings.pairs // 2)
        fewer = write_benchmark(place.folder / "half.json", categories=1, pairs=half, size=settings.image_size)
        ratios += measure_isolation(place, fewer, settings, record)
    for name, measure_alone in {**_ALONE, **_ASKED_FOR}.items():
        if name in only:
            ratios += measure_alone(place, settings, record)
    return ratios
