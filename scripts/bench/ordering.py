"""The device time lost at barriers when edits cost by image size, compared with the file's order."""

from __future__ import annotations

import numpy as np

from scripts.bench.pictures import picture, write_pairs
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD, SWAP
from scripts.bench.workplace import Workplace
from workers.codecs import encode_png

_SMALLEST, _LARGEST = 256, 1024
_POOL = "sized"
_DISTINCT = 31
"""A prime, so that sizes and rounds do not repeat together."""


def measure_ordering(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Images of random sizes, and editors that need time per pixel. Two runs on one pool: the first knows nothing about
    the costs of edits, the second what the first has learned.
    """
    random = np.random.default_rng(1)
    sides = random.integers(_SMALLEST, _LARGEST, (_DISTINCT, 2))
    images = [encode_png(picture(number, int(width), int(height))) for number, (width, height) in enumerate(sides)]
    data = write_pairs(place.folder / "sized.json", [settings.editors * settings.sized_rounds], images)
    editor = {
        **settings.devices,
        "latency_ms": 0,
        "per_megapixel_ms": settings.sized_per_megapixel_ms,
        "enable_batch_sync": True,
    }
    place.start(data.path, pool=_POOL, editor=editor, reward=REWARD)
    best: dict[str, float] = {}
    for number in range(settings.repeat):
        for who in ("first run", "next run"):
            run = place.run(
                data.path, "--keep-warm", "--no-launch", pool=_POOL, editor=editor, reward=REWARD, sections=SWAP
            )
            waited, in_file_order = barrier_losses(run)
            best[who] = min(best.get(who, float("inf")), waited / in_file_order)
            numbers = {"barrier_wait_seconds": waited, "barrier_loss_in_file_order": in_file_order}
            record({"figure": "ordering", "who": who, "repeat": number, **numbers})
            place.clear()
    place.stop(_POOL)
    meaning = "device time lost at barriers / the loss in the file's order; less is better"
    return [Ratio("ordering", f"warmbench, {who}", ratio, meaning, target=at_most(0.5)) for who, ratio in best.items()]


def barrier_losses(run: FinishedRun) -> tuple[float, float]:
    """Device seconds lost at barriers, and those that the same edits would have lost in the file's order."""
    performance = run.report["performance"]
    return float(performance["barrier_wait_seconds"]), float(performance["barrier_loss_in_file_order"])
