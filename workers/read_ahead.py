"""``python -m workers.read_ahead FOLDER CACHE`` reads and hashes the files of a model before its turn comes: a worker
that loads it finds them in the page cache, and their hashes in the file ``CACHE``.

It gives way to everything else: one thread, idle priority for disk and CPU. It ends when its standard input does, so it
does not outlive the run that has started it, however that ends. What cannot be read is left to the worker's load, which
says what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil
from setproctitle import setproctitle

from protocol.host_memory import available_memory
from workers.file_hashes import hash_files, read_ahead
from workers.models.hub import weight_files


def main(folder: Path, cache: Path) -> None:
    """Read the files of the model in this folder."""
    setproctitle(f"warmbench: reads {folder} ahead")
    threading.Thread(target=_end_with_input, daemon=True).start()
    os.nice(19)
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    with contextlib.suppress(OSError):  # a checkpoint that vanishes meanwhile
        files = weight_files(folder)
        if fits(files, available_memory()):
            # Hashing reads a file whole; where the hash is known, nothing was read.
            hash_files(files, cache, threads=1)
            read_ahead(files)


def fits(files: Sequence[str], available: int) -> bool:
    """Whether the files would stay in the page cache. Else the worker had to read them a second time. Raises
    ``OSError``.
    """
    return 2 * sum(Path(name).stat().st_size for name in files) <= available


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
