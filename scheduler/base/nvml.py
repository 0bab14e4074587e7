"""What NVML says of the driver and of the GPUs: who uses them, and how much memory is free. No torch, no GPU memory.

What an old driver or library can't answer is None.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL
from typing import Any, TypeVar

from msgspec import Struct

Answer = TypeVar("Answer")

_LIBRARY = "libnvidia-ml.so.1"


class Driver(Struct, frozen=True):
    """The driver's version, such as ``535.104.05``, and the newest CUDA that it runs, such as ``(12, 2)``."""

    version: str
    cuda: tuple[int, int] | None


class GpuProcess(Struct, frozen=True):
    """A process that has a CUDA context on a GPU. Its pid may be one of another container's."""

    pid: int
    used_bytes: int | None


class GpuUse(Struct, frozen=True):
    """The memory of a GPU, and its processes."""

    total_bytes: int
    free_bytes: int
    processes: tuple[GpuProcess, ...]


def driver() -> Driver | None:
    """The driver of this machine; None without one."""
    with initialized_nvml() as nvml:
        version = _ask(nvml, lambda: text(nvml.nvmlSystemGetDriverVersion()))
        cuda = _ask(nvml, lambda: int(nvml.nvmlSystemGetCudaDriverVersion()))
    if not version:
        return None
    # 12020 is CUDA 12.2.
    return Driver(version, None if cuda is None else (cuda // 1000, cuda % 1000 // 10))


def gpu_use(uuid: str) -> GpuUse | None:
    """Who uses the GPU, or the MIG slice, with this UUID; None if that is not known."""
    with initialized_nvml() as nvml:
        handle = _ask(nvml, lambda: nvml.nvmlDeviceGetHandleByUUID(uuid))
        if handle is None:
            return None
        memory = _ask(nvml, lambda: _memory(nvml.nvmlDeviceGetMemoryInfo(handle)))
        running = _ask(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
    processes = tuple(GpuProcess(int(process.pid), process.usedGpuMemory) for process in running)
    return None if memory is None else GpuUse(*memory, processes)


def _memory(memory: Any) -> tuple[int, int]:
    return int(memory.total), int(memory.free)


def uuid_of(entry: str) -> str | None:
    """The UUID of the GPU that an entry of ``CUDA_VISIBLE_DEVICES`` names: an index in the order of the bus, or a UUID
    in full; None if there is none."""
    if not entry.isdecimal():
        return entry or None
    with initialized_nvml() as nvml:
        uuid = _ask(nvml, lambda: nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(int(entry))))
    return None if uuid is None else text(uuid)


@contextmanager
def initialized_nvml() -> Iterator[Any]:
    """The library, initialized; None without a driver."""
    if not _has_library():
        yield None
        return
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _has_library() -> bool:
    """Whether the driver has its library here. Importing ``pynvml`` takes a twelfth of a run's start."""
    try:
        return "pynvml" in sys.modules or bool(CDLL(_LIBRARY))
    except OSError:
        return False


def _ask(nvml: Any, question: Callable[[], Answer]) -> Answer | None:
    if nvml is None:
        return None
    try:
        return question()
    except (nvml.NVMLError, AttributeError):  # an older library lacks the function
        return None


def text(value: str | bytes) -> str:
    """A text of NVML; older libraries give bytes."""
    return value.decode() if isinstance(value, bytes) else value
