"""The parameters and buffers of modules, and how another tensor takes the place of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Slot:
    """One parameter or buffer, with all places at which modules have this very object."""

    name: str
    tensor: torch.Tensor
    places: list[tuple[dict[str, Any], str]]

    @property
    def span(self) -> tuple[int, int]:
        """The addresses of its first byte and behind its last one."""
        tensor = self.tensor
        last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        start = tensor.data_ptr()
        return start, start + (last + 1) * tensor.element_size()

    def point_to(self, tensor: torch.Tensor) -> None:
        """Have the modules use this tensor. A parameter remains the same object, as with ``Module.to``."""
        if isinstance(self.tensor, torch.nn.Parameter):
            self.tensor.data = tensor
        else:
            self.tensor = tensor
            for registry, key in self.places:
                registry[key] = tensor


def slots_of(modules: Iterable[torch.nn.Module]) -> list[Slot]:
    """All parameters and buffers that have bytes, each once."""
    slots: dict[int, Slot] = {}
    for number, module in enumerate(modules):
        for prefix, part in module.named_modules():
            for registry in (part._parameters, part._buffers):
                for key, tensor in registry.items():
                    if tensor is None or tensor.numel() == 0 or tensor.is_meta:
                        continue
                    slot = slots.setdefault(id(tensor), Slot(f"{number}.{prefix}.{key}", tensor, []))
                    slot.places.append((registry, key))
    return list(slots.values())
