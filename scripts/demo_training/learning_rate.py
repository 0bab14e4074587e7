"""The learning rate over a training: it rises over a tenth of the steps, then falls along a cosine."""

from __future__ import annotations

import math
from typing import Any

_WARM_UP = 0.1
_LEAST = 1e-3


def schedule(optimizer: Any, steps: int) -> Any:
    """A schedule of torch for ``steps`` steps; the optimizer's own rate is the highest."""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: share(step, steps))


def share(step: int, steps: int) -> float:
    """The rate at a step, counted from 0, as a share of the highest."""
    rising = max(1.0, _WARM_UP * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    done = (step - rising) / max(1.0, steps - rising)
    return max(_LEAST, (1 + math.cos(math.pi * min(1.0, done))) / 2)
