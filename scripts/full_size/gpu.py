"""Watches a GPU's memory and load during a measurement: through NVML, in a thread, for all processes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.base.nvml import driver
from scheduler.config.devices import visible_gpus
from scheduler.config.layout import Gpu

_EVERY_SECONDS = 0.2
_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "triton")


class GpuWatch:
    """Measures the whole GPU's peak memory, and the mean share of time in which it was busy."""

    def __init__(self, uuid: str | None) -> None:
        self._uuid = uuid
        self._memory: list[int] = []
        self._busy: list[int] = []
        self._over = threading.Event()

    def figures(self) -> dict[str, float]:
        """The figures that are known: none without a GPU."""
        figures: dict[str, float] = {}
        if self._memory:
            figures["gpu_memory_peak_gb"] = round(max(self._memory) / 1e9, 2)
        if self._busy:
            figures["gpu_busy_percent"] = round(sum(self._busy) / len(self._busy), 1)
        return figures

    def watch(self) -> None:
        """Sample the GPU until ``end``; values that the driver does not report are left out."""
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(self._uuid)
            while not self._over.is_set():
                self._memory.append(int(pynvml.nvmlDeviceGetMemoryInfo(handle).used))
                try:
                    self._busy.append(int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))
                except pynvml.NVMLError:
                    self._busy.clear()
                self._over.wait(_EVERY_SECONDS)
        except pynvml.NVMLError:
            return
        finally:
            pynvml.nvmlShutdown()

    def end(self) -> None:
        """Have ``watch`` return."""
        self._over.set()


@contextlib.contextmanager
def watched(device: str) -> Iterator[GpuWatch]:
    """Watch the GPU while the block runs; do nothing for a CPU."""
    gpu = gpu_of(device)
    watch = GpuWatch(gpu.uuid if gpu else None)
    if gpu is None:
        yield watch
        return
    thread = threading.Thread(target=watch.watch, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()


def gpu_of(device: str) -> Gpu | None:
    """The GPU that CUDA calls so (``cuda`` is the first visible one); None for a CPU, or without such a GPU."""
    if not device.startswith("cuda"):
        return None
    index = int(device.partition(":")[2] or 0)
    return next((gpu for gpu in visible_gpus() if gpu.index == index), None)


def gpu_name(device: str) -> Mapping[str, Any]:
    """The GPU's name, memory and driver; empty without a GPU."""
    gpu, installed = gpu_of(device), driver()
    if gpu is None or installed is None:
        return {}
    return {"gpu": gpu.name, "gpu_memory_gb": round(gpu.memory_bytes / 1e9, 1), "driver": installed.version}


def versions() -> dict[str, str]:
    """The versions of the libraries that a figure depends on."""
    versions = {}
    for library in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[library] = importlib.metadata.version(library)
    return versions
