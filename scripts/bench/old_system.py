"""Replays the benchmark of the old system: its times, its numbers of pairs, its orders of work.

Its authors gave 1.8 s per edit; per score 2.0 s alone, 0.75 s in batches of four, 0.5 s in batches of eight; 0.5 s per
switch; and five categories of 50 to 58 pairs. From these they computed 1296 s on one GPU, one pair after the other with
a switch before and after each score, and 288.5 s on six GPUs. They measured neither.
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
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.workplace import Workplace
from workers.codecs import decode_image, encode_png

OPTIMIZED_SECONDS = 288.5
"""The authors' own figure, which assumes full rounds and full batches."""

_EDIT, _SINGLE_SCORE, _SWITCH = 1.8, 2.0, 0.5
_BATCH_SECONDS, _ITEM_SECONDS = 2.0, 0.25
"""The line through both batch sizes: 3.0 s for four images, 4.0 s for eight."""
_BATCH = 4
_DISTINCT = 16


@dataclass(frozen=True)
class Layout:
    """The devices of the rewards in one run, and their batch size."""

    name: str
    rewards: Sequence[int]
    batch: int = _BATCH


def layouts(editors: int) -> Sequence[Layout]:
    """Those that are replayed. The second one has the target."""
    return (
        Layout(f"{editors} GPUs, 1 reward on one", [0]),
        Layout(f"{editors} GPUs, {editors} rewards on them", range(editors)),
        Layout(f"{editors + 1} GPUs, 1 for the reward", [editors]),
        Layout("the same, batches of 8", [editors], batch=8),
    )


def measure_old_system(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Both orders of the old system, and warmbench in all layouts; all in the old seconds."""
    scale, counts = settings.replay_scale, settings.replay_counts
    images = [encode_png(picture(number, settings.image_size)) for number in range(_DISTINCT)]
    data = write_pairs(place.folder / "old.json", counts, images)
    walls = {
        "old, original order": sum(counts) * (_EDIT + _SINGLE_SCORE + 2 * _SWITCH),
        "old, optimized order, as told": OPTIMIZED_SECONDS,
        "old, optimized order": optimized_seconds(counts, settings.editors),
        "old, optimized order, replayed": replay_optimized(data, counts, settings) / scale,
    }
    replayed = layouts(settings.editors)
    for number, layout in enumerate(replayed):
        repeated = [
            _seconds(_run(place, data, layout, f"old-{number}", settings)) / scale for _ in range(settings.repeat)
        ]
        walls[f"warmbench, {layout.name}"] = min(repeated)
        place.clear()
    for who, seconds in walls.items():
        record({"figure": "old-system", "who": who, "seconds": seconds, "scale": scale})
    half = at_most(OPTIMIZED_SECONDS / 2)
    swapped = f"warmbench, {replayed[1].name}"
    meaning = "seconds from the first edit to the last score, at the old system's times; less is better"
    return [
        Ratio("old-system", who, seconds, meaning, target=half if who == swapped else None)
        for who, seconds in walls.items()
    ]


def optimized_seconds(counts: Sequence[int], editors: int) -> float:
    """Per category: edits in rounds with a barrier, a switch, scores in batches on one GPU, a switch."""
    rounds = sum(-(-count // editors) for count in counts)
    batches = sum(-(-count // _BATCH) for count in counts)
    scores = batches * _BATCH_SECONDS + sum(counts) * _ITEM_SECONDS
    return rounds * _EDIT + scores + (2 * len(counts) - 1) * _SWITCH


def replay_optimized(data: PictureBenchmark, counts: Sequence[int], settings: Settings) -> float:
    """The same order, executed: threads decode and edit one pair each and wait for each other; then the scores.

    Devices sleep, decoding is real. Returns seconds.
    """
    scale, editors = settings.replay_scale, settings.editors
    devices = Devices({"latency_ms": _EDIT * scale * 1000})
    pairs, first = list(data.pairs.items()), 0
    started = time.monotonic()
    with ThreadPoolExecutor(editors) as pool:
        for number, count in enumerate(counts):
            if number:
                time.sleep(_SWITCH * scale)
            category = pairs[first : first + count]
            first += count
            for begin in range(0, count, editors):
                list(pool.map(lambda pair: devices.edit(pair[0], decode_image(pair[1])), category[begin:][:editors]))
            time.sleep(_SWITCH * scale)
            for begin in range(0, count, _BATCH):
                time.sleep((_BATCH_SECONDS + len(category[begin:][:_BATCH]) * _ITEM_SECONDS) * scale)
    return time.monotonic() - started


def _run(place: Workplace, data: PictureBenchmark, layout: Layout, pool: str, settings: Settings) -> FinishedRun:
    scale = settings.replay_scale
    # One switch is two moves: the editors leave the devices, the rewards take them.
    moved: dict[str, Any] = {"place_seconds": _SWITCH / 2 * scale}
    return place.run(
        data.path,
        pool=pool,
        editor={"device_ids": list(range(settings.editors)), "latency_ms": _EDIT * scale * 1000, **moved},
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
