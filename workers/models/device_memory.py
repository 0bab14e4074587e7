"""How much memory devices have; frees it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

_A_CPU = 2**40
"""CPUs have as much as each other, and enough: their models are in host memory anyway."""


def device_memory(devices: Sequence[str], *, free: bool) -> list[int]:
    """Return the bytes that each device has, or, with ``free``, has left."""
    import torch

    return [
        _A_CPU if device.startswith("cpu") else torch.cuda.mem_get_info(torch.device(device))[0 if free else 1]
        for device in devices
    ]


def free_memory() -> None:
    """Collect garbage and release cached device memory, if torch is loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
