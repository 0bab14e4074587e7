"""A copy of a Parquet file, or of a compressed Arrow file, as an Arrow file whose images lie there byte for byte.

In Parquet a row costs its row group, often 100 MB. The copy is made once, in ``$WARMBENCH_CACHE/tables``, named by the
content of the original.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocol.pool import cache_home, try_lock
from scheduler.base.files import write_atomically
from scheduler.base.text import one_line
from scheduler.benchmark.pairs import DataError

_log = logging.getLogger(__name__)

_BATCH_BYTES = 16 << 20
_MAX_ROWS = 1024
_BUFFER = 1 << 20
_LOOK_SECONDS = 0.2
_CHUNK = 1 << 22
_HASH_LENGTH = 64

BROKEN = (ValueError, KeyError, IndexError, TypeError, NotImplementedError, OverflowError, MemoryError)
"""What pyarrow raises for a broken file, beside ``OSError``: its own errors are subclasses of these. A size in a broken
file may be any number.
"""


def spooled(file: Path) -> Path:
    """Return the copy of the file, after making it if there is none.

    Raises:
        DataError: the file is broken, or there is no room for the copy.
        OSError: one of them cannot be read or written.
    """
    folder = cache_home() / "tables"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = folder / f"{_known_sha256(file, folder)}.arrow"
    if copy.exists():
        return copy
    while (lock := try_lock(folder / ".lock")) is None:
        time.sleep(_LOOK_SECONDS)  # another run makes one
    try:
        if not copy.exists():
            _make(file, copy)
        return copy
    finally:
        os.close(lock)


def _make(file: Path, copy: Path) -> None:
    import pyarrow as pa

    unfinished = copy.with_name(f".{copy.name}.unfinished")
    try:
        schema, size, batches = _opened(file)
        free = shutil.disk_usage(copy.parent).free
        if free < size:
            raise DataError(
                f"a copy of {file.name} takes {size / 1e9:.1f} GB, and {copy.parent} has {free / 1e9:.1f} GB free: set "
                "WARMBENCH_CACHE to a folder with more room"
            )
        _log.info("making a copy of %s in %s (%.1f GB), once", file, copy, size / 1e9)
        with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
                del batch
                pa.default_memory_pool().release_unused()  # else it keeps the pages of several row groups
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.rename(copy)
    except BROKEN as error:
        raise DataError(f"{file.name} cannot be read: {one_line(error, 300)}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _opened(file: Path) -> tuple[Any, int, Iterator[Any]]:
    """Return the schema, the bytes without compression, and the batches of the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if is_parquet(file):
        # Not mapped and not read ahead: a page at a time is in memory.
        table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        size = sum(table.metadata.row_group(group).total_byte_size for group in range(table.num_row_groups))
        rows = _BATCH_BYTES * table.metadata.num_rows // max(1, size)
        return table.schema_arrow, size, table.iter_batches(min(max(1, rows), _MAX_ROWS), use_threads=False)
    source = pa.OSFile(str(file))
    reader = open_arrow(source, file)
    return reader.schema, file.stat().st_size, arrow_batches(reader)


def is_parquet(file: Path) -> bool:
    """Whether the file begins as Parquet files do."""
    with file.open("rb") as opened:
        return opened.read(4) == b"PAR1"


def open_arrow(source: Any, file: Path) -> Any:
    """Return the reader of an Arrow file, of the one or the other of its two formats."""
    import pyarrow as pa

    with file.open("rb") as opened:
        is_file = opened.read(6) == b"ARROW1"
    return pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)


def arrow_batches(reader: Any) -> Iterator[Any]:
    """Read the batches of such a reader."""
    if hasattr(reader, "num_record_batches"):
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        yield from reader


def _known_sha256(file: Path, folder: Path) -> str:
    """Return the hash of the file. It is stored by the file's stamp: of 5 GB, hashing takes longer than all else."""
    status = file.stat()
    stamp = f"{file}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
    stored = folder / f"{hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]}.sha256"
    with contextlib.suppress(OSError, ValueError):
        known = stored.read_text(encoding="ascii")
        if len(known) == _HASH_LENGTH and known.isalnum():
            return known
    found = _sha256(file)
    with contextlib.suppress(OSError):  # another run writes the same
        write_atomically(stored, found.encode("ascii"))
    return found


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb", buffering=0) as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
