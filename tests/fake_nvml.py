"""A stand-in for NVML, at its own library's interface: what ``pynvml`` answers on a machine with GPUs, or without."""

from __future__ import annotations

import _ctypes
from dataclasses import dataclass
from pathlib import Path

import pynvml
import pytest

_MODULE = """
class NVMLError(Exception): ...
class Memory: total, free, used = 81559 << 20, 81559 << 20, 0
nvmlInit = nvmlShutdown = lambda: None
nvmlDeviceGetCount = lambda: COUNT
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetUUID = lambda index: f"GPU-{index:08d}"
nvmlDeviceGetName = lambda index: "NVIDIA H100 80GB HBM3"
nvmlDeviceGetMemoryInfo = lambda index: Memory

def __getattr__(name):
    def fail(*arguments):
        raise NVMLError(f"{name}: Not Supported")
    return fail
"""


@dataclass(frozen=True)
class MemoryInfo:
    """The answer of ``nvmlDeviceGetMemoryInfo``, in bytes."""

    total: int
    free: int
    used: int


def show_gpus(monkeypatch: pytest.MonkeyPatch, count: int, *, memory: int = 81_559 << 20) -> None:
    """Let NVML list ``count`` GPUs of ``memory`` bytes; nothing hides any."""
    handles = [f"handle-{index}" for index in range(count)]
    uuids = [f"GPU-{index:08d}" for index in range(count)]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: count,
        "nvmlDeviceGetHandleByIndex": lambda index: handles[index],
        "nvmlDeviceGetHandleByUUID": lambda uuid: handles[uuids.index(uuid)],
        "nvmlDeviceGetUUID": lambda handle: uuids[handles.index(handle)],
        "nvmlDeviceGetName": lambda _handle: "NVIDIA H100 80GB HBM3",
        "nvmlDeviceGetMemoryInfo": lambda _handle: MemoryInfo(memory, memory, 0),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)


def write_pynvml(folder: Path, count: int) -> dict[str, str]:
    """Write a ``pynvml`` that lists ``count`` GPUs, for other processes. Returns the variables with which they find it.

    Any library that can be loaded stands for the driver's, which says only that there is a driver.
    """
    folder.mkdir()
    (folder / "pynvml.py").write_text(_MODULE.replace("COUNT", str(count)), encoding="utf-8")
    (folder / "libnvidia-ml.so.1").symlink_to(_ctypes.__file__)
    return {"PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(folder)}


def remove_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let NVML be missing, as on a login node."""

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
