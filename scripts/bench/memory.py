"""The memory of processes, as the kernel counts it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil


def pool_memory(processes: Iterable[psutil.Process]) -> int:
    """The bytes of all processes together (PSS: shared pages count once)."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def peak_memory(pid: int) -> int:
    """The peak resident bytes of a process, mapped files included; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
