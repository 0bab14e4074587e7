"""Parquet and Arrow files of gigabytes: the memory that loading them takes, and the time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.bench.pictures import picture
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.workplace import Workplace
from workers.codecs import encode_png

_SIDE = 1024
_DISTINCT = 8
_GROUP_BYTES = 100_000_000
_PAGES = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
"""Of a row group or a batch, and of pages, as the ``datasets`` library writes images since its version 4."""

_LOAD = """
import os, sys
from pathlib import Path
from scheduler.benchmark import load_benchmark
from scripts.bench.memory import peak_memory
benchmark = load_benchmark(Path(sys.argv[1]))
assert not benchmark.bad, benchmark.bad[0]
print(len(benchmark.pairs), peak_memory(os.getpid()))
"""


def measure_large_table(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Load each kind of file in a process of its own, which hashes every image; Parquet again from its copy."""
    cache = place.folder / "table-cache"
    ratios: list[Ratio] = []
    for kind, times in (("arrow", 1), ("parquet", 2)):
        path = place.folder / f"large.{kind}"
        rows = _write(path, kind, settings.table_megabytes)
        size = path.stat().st_size
        for number in range(times):
            name = kind if number == 0 else f"{kind}, copied before"
            started = time.monotonic()
            command = [sys.executable, "-c", _LOAD, str(path)]
            result = subprocess.run(
                command, env={**os.environ, "WARMBENCH_CACHE": str(cache)}, capture_output=True, text=True, check=True
            )
            seconds = time.monotonic() - started
            pairs, peak = map(int, result.stdout.split())
            numbers = {"file_bytes": size, "pairs": pairs, "rows": rows, "peak_bytes": peak, "seconds": seconds}
            record({"figure": "large-table", "kind": name, **numbers})
            who = f"{name}, {size / 1e9:.1f} GB, {pairs} pairs"
            ratios.append(Ratio("large-table: memory", who, peak / 1e6, "MB, the loader's peak", target=at_most(400)))
            ratios.append(Ratio("large-table: time", who, seconds, "seconds to load, each image hashed"))
        path.unlink()
    for copy in cache.rglob("*"):
        if copy.is_file():
            copy.unlink()
    return ratios


def _write(path: Path, kind: str, megabytes: int) -> int:
    """Write so many megabytes of images, and return the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [encode_png(picture(number, _SIDE)) for number in range(_DISTINCT)]
    rows = max(1, round(megabytes * 1e6 / (sum(map(len, images)) / len(images))))
    schema = pa.schema(
        {"id": pa.int64(), "instruction": pa.string(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})}
    )
    batches = _batches(schema, images, rows, max(1, _GROUP_BYTES * len(images) // sum(map(len, images))))
    if kind == "arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
    else:
        with pq.ParquetWriter(path, schema, use_dictionary=False, use_content_defined_chunking=_PAGES) as table:
            for batch in batches:
                table.write_batch(batch)
    return rows


def _batches(schema: Any, images: list[bytes], rows: int, size: int) -> Iterator[Any]:
    import pyarrow as pa

    for start in range(0, rows, size):
        content = [
            {"id": row, "instruction": "Make it blue.", "image": {"bytes": images[row % _DISTINCT], "path": None}}
            for row in range(start, min(rows, start + size))
        ]
        yield pa.RecordBatch.from_pylist(content, schema)
