"""The memory of processes."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from scheduler.base.memory import private_memory

MIB = 2**20


def test_pages_of_files_are_not_a_process_s_own_memory(tmp_path: Path) -> None:
    before = private_memory(os.getpid())
    assert before > 0
    own = bytearray(os.urandom(64 * MIB))
    assert private_memory(os.getpid()) - before > 48 * MIB
    before = private_memory(os.getpid())
    path = tmp_path / "weights"
    path.write_bytes(own)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[:: mmap.PAGESIZE]) > 0
        assert private_memory(os.getpid()) - before < 32 * MIB


def test_a_process_that_has_ended_has_none() -> None:
    assert private_memory(4_000_000) == 0
