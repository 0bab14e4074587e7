"""Digests of tensors, computed where they are: they tell whether weights changed on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workers.models.moving.blocks import bytes_of
from workers.models.moving.slots import Slot

_WORD = 4
_PART_WORDS = 4 * 1024**2
_PART_WORDS_ON_A_CPU = _PART_WORDS // 16
"""They fit into its cache."""
_FACTOR = 1_000_003
_MIXERS = 0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9
"""Odd numbers without a pattern, as in SplitMix64."""


def digests(slots: Sequence[Slot]) -> list[int]:
    """A number for each tensor that depends on its bytes and on their order, and not on its device.

    They are sums modulo 2 to the power of 64 of words of 32 bits: in one of 64, a change of signs alone could vanish.
    """
    numbers: dict[str, int] = {}
    for device in dict.fromkeys(slot.tensor.device for slot in slots):
        there = [slot for slot in slots if slot.tensor.device == device]
        numbers |= zip((slot.name for slot in there), _digests_on(device, there), strict=True)
    return [numbers[slot.name] for slot in slots]


def _digests_on(device: torch.device, slots: Sequence[Slot]) -> list[int]:
    spans = [slot.span for slot in slots]
    most = max(stop - start for start, stop in spans) // _WORD + _WORD
    words = _PART_WORDS if device.type != "cpu" else _PART_WORDS_ON_A_CPU
    weights = _weights(min(most, words), device)
    data = (bytes_of(slot.tensor, *span) for slot, span in zip(slots, spans, strict=True))
    sums: list[int] = torch.stack([_digest(part, weights) for part in data]).tolist()
    return sums


def _weights(count: int, device: torch.device) -> torch.Tensor:
    """Odd numbers of which no few add up to zero, whatever their signs; the first ones do not depend on the count."""
    first, second = _MIXERS
    weights = torch.arange(1, count + 1, device=device).mul_(first)
    weights ^= weights >> 32
    return weights.mul_(second).bitwise_or_(1)


def _digest(data: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    whole = data.numel() // _WORD * _WORD
    if data.storage_offset() % _WORD:
        data = data.clone()
    rest = data[whole:].long()
    total = (rest * weights[: rest.numel()]).sum()
    for part in data[:whole].view(torch.int32).split(weights.numel()):
        total = total * _FACTOR + (part * weights[: part.numel()]).sum()
    return total
