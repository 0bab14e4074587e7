"""The cost of the score stage, on its own devices and on shared ones."""

from __future__ import annotations

from scripts.bench.pictures import PictureBenchmark
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import POOL, SWAP
from scripts.bench.workplace import Workplace

CATEGORIES = 5
_BATCH = 4
_SCORE_SHARE = 0.75
"""The duration of the score stage / that of the edit stage. The edit stage is the longer one."""


def measure_overlap(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Edits and scores at the same time, compared with the longer stage alone."""
    batch_ms = _SCORE_SHARE * settings.latency_ms * _BATCH / settings.editors
    editor = {**settings.devices, "latency_ms": settings.latency_ms, "enable_batch_sync": False}
    reward = {"device": "cpu", "latency_ms": batch_ms, "batch_size": _BATCH}
    resident = {"scheduler": {"residency": "resident"}}
    best = float("inf")
    half = str(max(settings.editors, settings.pairs // 2))
    for number in range(settings.repeat):
        walls = {}
        for who, sections in (("apart", SWAP), ("overlapped", resident)):
            options = ("--keep-warm", "--no-launch", "--limit", half)
            run = place.run(data.path, *options, pool=POOL, editor=editor, reward=reward, sections=sections)
            walls[who] = {stage: _wall(run, *events) for stage, events in _STAGES.items()}
            record({"figure": "overlap", "who": who, "repeat": number, **walls[who]})
            place.clear()
        best = min(best, walls["overlapped"]["both"] / max(walls["apart"]["edit"], walls["apart"]["score"]))
    meaning = "both stages overlapped / the longer stage alone; less is better"
    return [Ratio("overlap", "warmbench, resident", best, meaning, target=at_most(1.05))]


_STAGES = {"edit": ("edited",), "score": ("scored",), "both": ("edited", "scored")}


def _wall(run: FinishedRun, *events: str) -> float:
    """Seconds from a device's first start to a device's last end in these rows."""
    rows = [row for event in events for row in run.of(event)]
    return max(float(row["finished"]) for row in rows) - min(float(row["started"]) for row in rows)


def measure_switches(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """How often the devices switch between the two models, in a benchmark with five categories."""
    devices = [0, 1]
    run = place.run(
        data.path,
        pool="shared",
        editor={"device_ids": devices, "latency_ms": settings.latency_ms / 10},
        reward={"device_ids": devices, "latency_ms": settings.latency_ms / 10, "batch_size": _BATCH},
    )
    performance = run.report["performance"]
    place.clear()
    before = 2 * CATEGORIES - 1
    record({"figure": "switches", "switches": performance["model_switches"], "old_system": before, **performance})
    meaning = f"model switches / the old system's {before} ({CATEGORIES} categories); less is better"
    ratio = performance["model_switches"] / before
    return [Ratio("switches", "warmbench, swap", ratio, meaning, target=at_most(1 / before))]
