"""What the GPU says while something is measured: through NVML, in a thread, whatever process works on it."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_EVERY_SECONDS = 0.2
_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "triton")


class GpuWatch:
    """``figures`` has the most memory that was used on the whole GPU, and the mean share of time it was busy."""

    def __init__(self, index: int | None) -> None:
        self._index = index
        self._memory: list[int] = []
        self._busy: list[int] = []
        self._over = threading.Event()

    def figures(self) -> dict[str, float]:
        """Empty where there is no GPU, or its driver does not tell."""
        found: dict[str, float] = {}
        if self._memory:
            found["gpu_memory_peak_gb"] = round(max(self._memory) / 1e9, 2)
        if self._busy:
            found["gpu_busy_percent"] = round(sum(self._busy) / len(self._busy), 1)
        return found

    def watch(self) -> None:
        """Ask again and again until ``end``; what the driver does not tell is left out."""
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


@contextmanager
def watched(device: str) -> Iterator[GpuWatch]:
    """A GPU that is watched while the block runs; on a CPU nothing is."""
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
    """``cuda`` is the first one; None for a CPU."""
    if not device.startswith("cuda"):
        return None
    return int(device.partition(":")[2] or 0)


def gpu_name(device: str) -> Mapping[str, Any]:
    """The GPU's name, memory and driver; empty where there is none."""
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
    """The libraries that a figure depends on."""
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
