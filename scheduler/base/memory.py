"""Measures the memory of a process: on the host, and on the GPUs (through NVML, without torch)."""

from __future__ import annotations

from pathlib import Path

import psutil


def host_memory(pid: int) -> int | None:
    """Return the resident bytes; None if the process has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def private_memory(pid: int) -> int:
    """Return the resident bytes that are the process's own, without pages of files; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def device_memory(pid: int) -> int | None:
    """Return the bytes on all GPUs together; None without a GPU, or if the driver does not report them."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        total = None
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                if process.pid == pid and process.usedGpuMemory is not None:
                    total = (total or 0) + int(process.usedGpuMemory)
        return total
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
