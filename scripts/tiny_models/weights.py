"""Fills a model with random weights that have the same bytes on every machine.

torch's own initialisation depends on the order in which a library creates its layers, which changes between versions.
Here numpy's generator draws each tensor from the seed and the tensor's name alone.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np


def fill_weights(model: Any, seed: int, *, gain: float = 1.0) -> Any:
    """Fill all weight matrices and kernels of ``model``; return it in float32, in evaluation mode.

    Biases become 0, the scales of norms 1.

    Args:
        model: any ``torch.nn.Module``.
        seed: each seed gives other weights everywhere.
        gain: the factor for all weights; with 1 a layer keeps the variance of its input.
    """
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 or name.endswith("gamma"):
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
            fan_in = parameter[0].numel()
            values = generator.standard_normal(tuple(parameter.shape), dtype=np.float32)
            parameter.copy_(torch.from_numpy(values) * (gain / fan_in**0.5))
    return model.float().eval()
