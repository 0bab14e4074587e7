"""The device time lost per edit where Ray places the workers, beside Ray's actor pool with the same images."""

from __future__ import annotations

from scripts.bench.peer_processes import run_apart
from scripts.bench.peers import RAY, missing
from scripts.bench.pictures import write_benchmark
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD, SWAP, spans_of
from scripts.bench.timing import throughput
from scripts.bench.workplace import Workplace

_FIGURE, _POOL = "placed-by-ray", "rayed"


def measure_placed_by_ray(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Edits of one second without barriers, over TCP with CURVE; Ray's pool writes nothing to the disk."""
    reason = missing(RAY)
    if reason is not None:
        record({"figure": _FIGURE, "who": RAY, "skipped": reason})
        return []
    pairs = settings.editors * settings.long_rounds
    data = write_benchmark(place.folder / "placed.json", categories=1, pairs=pairs, size=settings.image_size).path
    times = {"latency_ms": settings.long_latency_ms}
    editor = {**settings.devices, **times, "enable_batch_sync": False}
    ideal = settings.long_rounds * settings.long_latency_ms / 1000
    sections = {**SWAP, "pool": {"placer": "ray"}}
    lost: dict[str, float] = {}
    for number in range(settings.repeat):
        place.start(data, pool=_POOL, editor=editor, reward=REWARD, sections=sections)
        options = ("--keep-warm", "--no-launch")
        run = place.run(data, *options, pool=_POOL, editor=editor, reward=REWARD, sections=sections)
        place.stop(_POOL)
        spans = {"warmbench": spans_of(run), RAY: run_apart(place, RAY, data, times, settings.editors)}
        for who, measured in spans.items():
            result = throughput(measured, settings.editors, ideal)
            lost[who] = min(lost.get(who, result.lost_per_pair), result.lost_per_pair)
            record({"figure": _FIGURE, "who": who, "repeat": number, **result.as_dict()})
        place.clear()
    meaning = "device time lost per pair, warmbench on workers that Ray has placed / this; less is better"
    return [Ratio(_FIGURE, f"beside {RAY}", lost["warmbench"] / lost[RAY], meaning, target=at_most(0.2))]
