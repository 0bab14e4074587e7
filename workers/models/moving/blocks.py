"""Memory that tensors lie in. Tied weights, and other tensors that share bytes, are in one block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from workers.models.moving.slots import Slot


@dataclass
class Block:
    """The addresses from ``start`` to ``stop``, and the slots whose tensors are there."""

    start: int
    stop: int
    slots: list[Slot]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stop - self.start

    def view(self, slot: Slot, copy: torch.Tensor) -> torch.Tensor:
        """The slot's tensor in ``copy``, which has the bytes of this block.

        Raises:
            ValueError: it does not begin at a multiple of its item size.
        """
        offset, rest = divmod(slot.span[0] - self.start, slot.tensor.element_size())
        if rest:
            raise ValueError(f"{slot.name} shares bytes with another tensor, but is not aligned with it")
        view = torch.empty(0, dtype=slot.tensor.dtype, device=copy.device)
        return view.set_(copy.untyped_storage(), offset, slot.tensor.shape, slot.tensor.stride())


def blocks_of(slots: Iterable[Slot]) -> list[Block]:
    """The memory of these slots' tensors, by address."""
    blocks: list[Block] = []
    for (start, stop), slot in sorted(((slot.span, slot) for slot in slots), key=lambda pair: pair[0]):
        if blocks and start < blocks[-1].stop:
            blocks[-1].stop = max(stop, blocks[-1].stop)
            blocks[-1].slots.append(slot)
        else:
            blocks.append(Block(start, stop, [slot]))
    return blocks


def bytes_of(tensor: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """The bytes from address ``start`` to ``stop`` of the memory that the tensor lies in."""
    storage = tensor.untyped_storage()
    view = torch.empty(0, dtype=torch.uint8, device=tensor.device)
    return view.set_(storage, start - storage.data_ptr(), (stop - start,), (1,))
