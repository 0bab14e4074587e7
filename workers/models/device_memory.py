"""How much memory devices have; frees it, and keeps imported libraries out of garbage collections.

torch and what is imported with it are half a million objects that stay. A collection that looks at them takes half a
second, in which no edit is made, and there is one at each move of weights.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from workers.interface import ModelError

_A_CPU = 2**40
"""CPUs have as much as each other, and enough: their models are in host memory anyway."""


def device_memory(devices: Sequence[str], *, free: bool) -> list[int]:
    """Return the bytes that each device has, or, with ``free``, has left.

    Raises:
        ModelError: of kind ``load``: torch does not see all of these GPUs.
    """
    import torch

    wanted, found = sum(device.startswith("cuda") for device in devices), torch.cuda.device_count()
    if found < wanted:
        raise ModelError("load", f"the worker is to have {wanted} GPUs ({', '.join(devices)}), and torch sees {found}")
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


def free_model_memory() -> None:
    """Free the memory of a model that was just dropped; no other may be loaded. What remains is never looked at again.

    Objects of the model may have been kept out of collections, as it existed when it imported its libraries.
    """
    gc.unfreeze()
    free_memory()
    gc.freeze()


@contextmanager
def imports() -> Iterator[None]:
    """Collect no garbage in the block, which imports libraries: that takes a fifth less time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
