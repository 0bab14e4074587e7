"""Starts a process on the CPU cores that are near its GPU, as NVML knows them.

A worker copies weights and images between host memory and its GPU; on a machine with two sockets, the way through the
other one is slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_CORES_PER_WORD = 64


def cores_near(visible: str) -> frozenset[int] | None:
    """The cores near the first GPU that ``CUDA_VISIBLE_DEVICES`` names; None if NVML does not say."""
    visible = visible.partition(",")[0]
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        if visible.isdecimal():
            handle = pynvml.nvmlDeviceGetHandleByIndex(int(visible))
        else:
            handle = pynvml.nvmlDeviceGetHandleByUUID(visible)
        if visible.startswith("MIG-"):
            handle = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        words = pynvml.nvmlDeviceGetCpuAffinity(handle, -(-(os.cpu_count() or 1) // _CORES_PER_WORD))
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
    return frozenset(
        number * _CORES_PER_WORD + bit
        for number, word in enumerate(words)
        for bit in range(_CORES_PER_WORD)
        if int(word) >> bit & 1
    )


@contextmanager
def started_on(cores: frozenset[int] | None, least: int = 1) -> Iterator[None]:
    """Let processes that this thread starts have only those of these cores that it may use itself; all that it may use
    if these are fewer than ``least``, as where a batch job has only a few of them."""
    own = os.sched_getaffinity(0)
    chosen = own & cores if cores is not None else own
    if len(chosen) < least or chosen == own:
        yield
        return
    # A new process inherits the cores of the thread that starts it.
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
