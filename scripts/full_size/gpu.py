"""Watches a GPU's memory and load during a measurement: through NVML, in a thread, for all processes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import threading
from collections.abc import Iterator, Mapping
from typing import Any

_EVERY_SECONDS = 0.2
_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "triton")


class GpuWatch:
    """Measures the whole GPU's peak memory, and the mean share of time in which it was busy."""

    def __init__(self, index: int | None) -> None:
        self._index = index
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
            handle = pynvml.nvmlDeviceGetHandleByIndex(self._index)
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
    watch = GpuWatch(gpu_index(device))
    if gpu_index(device) is None:
        yield watch
        return
    thread = threading.Thread(target=watch.watch, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()


def gpu_index(device: str) -> int | None:
    """The GPU's index (``cuda`` is the first one); None for a CPU."""
    if not device.startswith("cuda"):
        return None
    return int(device.partition(":")[2] or 0)


def gpu_name(device: str) -> Mapping[str, Any]:
    """The GPU's name, memory and driver; empty without a GPU."""
    import pynvml

    index = gpu_index(device)
    if index is None:
        return {}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return {
            "gpu": _text(pynvml.nvmlDeviceGetName(handle)),
            "gpu_memory_gb": round(pynvml.nvmlDeviceGetMemoryInfo(handle).total / 1e9, 1),
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
        }
    except pynvml.NVMLError:
        return {}
    finally:
        pynvml.nvmlShutdown()


def versions() -> dict[str, str]:
    """The versions of the libraries that a figure depends on."""
    versions = {}
    for library in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[library] = importlib.metadata.version(library)
    return versions


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
