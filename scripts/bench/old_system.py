"""The benchmark of the system that this one comes from, replayed: its times, its numbers of pairs, its orders of work.

Its authors gave 1.8 s for an edit; for scores 2.0 s one by one, 0.75 s an image in batches of four, 0.5 s in batches of
eight; 0.5 s for a switch; and five categories of 50 to 58 pairs. From these they computed 1296 s for one pair after
the other on one GPU, with a switch before and behind each score, and 288.5 s for six GPUs. They measured neither.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from scripts.bench.peers import Devices
from scripts.bench.pictures import PictureBenchmark, picture, write_pairs
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import EDITORS, IMAGE_SIZE, Ratio, Record, Settings, at_most
from scripts.bench.workplace import Workplace
from workers.codecs import decode_image, encode_png

OPTIMIZED_SECONDS = 288.5
"""What its authors computed, with full rounds and full batches."""

_EDIT, _SINGLE_SCORE, _SWITCH = 1.8, 2.0, 0.5
_BATCH_SECONDS, _ITEM_SECONDS = 2.0, 0.25
"""Together the line through both of its batch sizes: 3.0 s for four images, 4.0 s for eight."""
_BATCH = 4
_DISTINCT = 16


@dataclass(frozen=True)
class Layout:
    """Where warmbench has its rewards in one of the three runs, and how large their batches are."""

    name: str
    rewards: Sequence[int]
    batch: int = _BATCH


_LAYOUTS = (
    Layout("6 GPUs, 1 reward on one", [0]),
    Layout("6 GPUs, 6 rewards on them", range(EDITORS)),
    Layout("7 GPUs, 1 for the reward", [EDITORS]),
    Layout("the same, batches of 8", [EDITORS], batch=8),
)


def measure_old_system(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Both orders of the old system, and warmbench in the layouts that six and seven GPUs allow; all in its seconds."""
    scale, counts = settings.replay_scale, settings.replay_counts
    images = [encode_png(picture(number, IMAGE_SIZE)) for number in range(_DISTINCT)]
    data = write_pairs(place.folder / "old.json", counts, images)
    found = {
        "old, original order": sum(counts) * (_EDIT + _SINGLE_SCORE + 2 * _SWITCH),
        "old, optimized order, as told": OPTIMIZED_SECONDS,
        "old, optimized order": optimized_seconds(counts),
        "old, optimized order, replayed": replay_optimized(data, counts, scale) / scale,
    }
    for layout in _LAYOUTS:
        walls = [_seconds(_run(place, data, layout, scale)) / scale for _ in range(settings.repeat)]
        found[f"warmbench, {layout.name}"] = min(walls)
        place.clear()
    for who, seconds in found.items():
        record({"figure": "old-system", "who": who, "seconds": seconds, "scale": scale})
    half = at_most(OPTIMIZED_SECONDS / 2)
    swapped = f"warmbench, {_LAYOUTS[1].name}"
    meaning = "seconds from the first edit to the last score, at the old system's times; less is better"
    return [
        Ratio("old-system", who, seconds, meaning, target=half if who == swapped else None)
        for who, seconds in found.items()
    ]


def optimized_seconds(counts: Sequence[int]) -> float:
    """Category by category: edits in rounds of six with a barrier, a switch, scores in batches on one GPU, a switch."""
    rounds = sum(-(-count // EDITORS) for count in counts)
    batches = sum(-(-count // _BATCH) for count in counts)
    scores = batches * _BATCH_SECONDS + sum(counts) * _ITEM_SECONDS
    return rounds * _EDIT + scores + (2 * len(counts) - 1) * _SWITCH


def replay_optimized(data: PictureBenchmark, counts: Sequence[int], scale: float) -> float:
    """The same for real: six threads that decode and edit one pair each, and wait for each other; then the scores, of
    images in memory. Its devices sleep; its decoding is real. Returns the seconds that it took.
    """
    devices = Devices({"latency_ms": _EDIT * scale * 1000})
    pairs, first = list(data.pairs.items()), 0
    started = time.monotonic()
    with ThreadPoolExecutor(EDITORS) as pool:
        for number, count in enumerate(counts):
            if number:
                time.sleep(_SWITCH * scale)
            category = pairs[first : first + count]
            first += count
            for begin in range(0, count, EDITORS):
                list(pool.map(lambda pair: devices.edit(pair[0], decode_image(pair[1])), category[begin:][:EDITORS]))
            time.sleep(_SWITCH * scale)
            for begin in range(0, count, _BATCH):
                time.sleep((_BATCH_SECONDS + len(category[begin:][:_BATCH]) * _ITEM_SECONDS) * scale)
    return time.monotonic() - started


def _run(place: Workplace, data: PictureBenchmark, layout: Layout, scale: float) -> FinishedRun:
    # One switch is two moves: editors leave, rewards come.
    moved: dict[str, Any] = {"place_seconds": _SWITCH / 2 * scale}
    return place.run(
        data.path,
        pool=f"old-{_LAYOUTS.index(layout)}",
        editor={"device_ids": list(range(EDITORS)), "latency_ms": _EDIT * scale * 1000, **moved},
        reward={
            "device_ids": list(layout.rewards),
            "latency_ms": _BATCH_SECONDS * scale * 1000,
            "per_item_ms": _ITEM_SECONDS * scale * 1000,
            "batch_size": layout.batch,
            **moved,
        },
    )


def _seconds(run: FinishedRun) -> float:
    scored = [float(row["finished"]) for row in run.of("scored")]
    return max(scored) - min(float(row["started"]) for row in run.of("edited"))
