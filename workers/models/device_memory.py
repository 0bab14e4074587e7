"""Frees the memory of devices."""

from __future__ import annotations

import gc
import sys


def free_memory() -> None:
    """Collect garbage and give cached device memory back, if torch is there at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
