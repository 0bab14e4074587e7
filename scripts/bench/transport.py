"""What encrypted TCP costs beside Unix sockets: the same edits, on loopback."""

from __future__ import annotations

from pathlib import Path

from scripts.bench.pictures import write_benchmark
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD, SWAP, spans_of
from scripts.bench.timing import throughput
from scripts.bench.workplace import Workplace

_TRANSPORTS = ("ipc", "tcp")


def measure_transport(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Edits of one second with barriers, each transport with a pool of its own, in turns."""
    pairs = settings.editors * settings.long_rounds
    data: Path = write_benchmark(place.folder / "sent.json", categories=1, pairs=pairs, size=settings.image_size).path
    editor = {**settings.devices, "latency_ms": settings.long_latency_ms, "enable_batch_sync": True}
    ideal = settings.long_rounds * settings.long_latency_ms / 1000
    walls: dict[str, float] = {}
    for number in range(settings.repeat):
        for transport in _TRANSPORTS:
            sections = {**SWAP, "pool": {"transport": transport}}
            place.start(data, pool=transport, editor=editor, reward=REWARD, sections=sections)
            options = ("--keep-warm", "--no-launch")
            run = place.run(data, *options, pool=transport, editor=editor, reward=REWARD, sections=sections)
            place.stop(transport)
            result = throughput(spans_of(run), settings.editors, ideal)
            wall = result.delivered_wall_seconds
            walls[transport] = min(walls.get(transport, wall), wall)
            record({"figure": "transport", "who": transport, "repeat": number, **result.as_dict()})
            place.clear()
    meaning = "wall time over TCP with CURVE / over Unix sockets; less is better"
    return [Ratio("transport", "warmbench, tcp", walls["tcp"] / walls["ipc"], meaning, target=at_most(1.01))]
