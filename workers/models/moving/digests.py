"""Digests of tensors, computed where they are: they tell whether weights changed on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workers.models.moving.blocks import bytes_of
from workers.models.moving.slots import Slot

_WORD = 8
_PART_WORDS = 4 * 1024**2
_PART_WORDS_ON_A_CPU = _PART_WORDS // 16
"""They fit into its cache."""
_FACTOR = 1_000_003


def digests(slots: Sequence[Slot]) -> list[int]:
    """A number for each tensor that depends on its bytes and on their order. All are on one device.

    They are sums modulo 2 to the power of 64, made in three passes through the device's memory.
    """
    if not slots:
        return []
    spans = [slot.span for slot in slots]
    most = max(stop - start for start, stop in spans) // _WORD + _WORD
    device = slots[0].tensor.device
    words = _PART_WORDS if device.type != "cpu" else _PART_WORDS_ON_A_CPU
    weights = torch.arange(1, 2 * min(most, words), 2, device=device)
    data = (bytes_of(slot.tensor, *span) for slot, span in zip(slots, spans, strict=True))
    sums: list[int] = torch.stack([_digest(part, weights) for part in data]).tolist()
    return sums


def _digest(data: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    whole = data.numel() // _WORD * _WORD
    if data.storage_offset() % _WORD:
        data = data.clone()
    rest = data[whole:].long()
    total = (rest * weights[: rest.numel()]).sum()
    for part in data[:whole].view(torch.int64).split(weights.numel()):
        total = total * _FACTOR + (part * weights[: part.numel()]).sum()
    return total
