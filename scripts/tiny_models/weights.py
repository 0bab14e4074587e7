"""Fills a model with random weights that are the same bytes on every machine.

torch's own initialisation depends on the order in which a library creates its layers, which changes between versions.
Here each tensor is drawn by itself, from the seed and its name alone, by numpy's generator.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch


def fill_weights(model: Any, seed: int, *, gain: float = 1.0) -> Any:
    """Draw every weight matrix and kernel of ``model`` anew and return the model, in float32 and ready for inference.

    Biases become zeros, the scales of norms ones.

    Args:
        model: any ``torch.nn.Module``.
        seed: another one gives other weights everywhere.
        gain: scales all of them; at 1 a layer keeps the variance of its input.
    """
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
