"""Frees device memory."""

from __future__ import annotations

import gc
import sys


def free_memory() -> None:
    """Collect garbage and release cached device memory, if torch is loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
