"""The visible GPUs.

NVML lists them, which needs no torch and no GPU memory. They are numbered as by CUDA: with
``CUDA_VISIBLE_DEVICES=4,5`` the first of two is ``cuda:0``. NVML counts in the order of the bus
(``CUDA_DEVICE_ORDER=PCI_BUS_ID``); on a machine with different GPUs set that, or name them by UUID.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from scheduler.base.nvml import initialized_nvml, text
from scheduler.config.layout import Gpu


def nvml_problem() -> str | None:
    """Why NVML cannot list the GPUs of this machine, as on a login node; None if it can."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return str(error)
    pynvml.nvmlShutdown()
    return None


def visible_gpus() -> tuple[Gpu, ...]:
    """The GPUs that a process started now would see; none without a driver."""
    with initialized_nvml() as nvml:
        if nvml is None:
            return ()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        uuids = [text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        chosen: list[Gpu] = []
        for entry in select_visible(os.environ.get("CUDA_VISIBLE_DEVICES"), uuids):
            try:
                handle = handles[entry] if isinstance(entry, int) else nvml.nvmlDeviceGetHandleByUUID(entry)
                uuid = uuids[entry] if isinstance(entry, int) else entry
                name = text(nvml.nvmlDeviceGetName(handle))
            except nvml.NVMLError:
                break  # as CUDA: an entry that names nothing ends the list
            try:
                memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
            except nvml.NVMLError:
                memory = 0
            chosen.append(Gpu(len(chosen), name, memory, uuid))
        return tuple(chosen)


def select_visible(setting: str | None, uuids: Sequence[str]) -> list[int | str]:
    """The GPUs of these UUIDs that ``CUDA_VISIBLE_DEVICES`` selects: positions, or the UUID of a MIG slice.

    As CUDA does: the first entry that names nothing ends the list, and a GPU that is named twice empties it.
    """
    if setting is None:
        return list(range(len(uuids)))
    chosen: list[int | str] = []
    for entry in (part.strip() for part in setting.split(",")):
        position = _position(entry, uuids)
        if position is None:
            break
        if position in chosen:
            return []
        chosen.append(position)
    return chosen


def _position(entry: str, uuids: Sequence[str]) -> int | str | None:
    if number := re.match(r"\+?(\d{1,6})", entry):
        index = int(number.group(1))
        return index if index < len(uuids) else None
    if entry.startswith("MIG-"):
        return entry
    if entry.startswith("GPU-") and entry != "GPU-":
        matches = [index for index, uuid in enumerate(uuids) if uuid.startswith(entry)]
        return matches[0] if len(matches) == 1 else None
    return None
