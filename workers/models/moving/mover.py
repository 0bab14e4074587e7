"""Moves the weights of modules to a device and away, without ever copying back what did not change there.

Each parameter and buffer has a *home* in host memory: the mapped pages of the safetensors file that it was loaded
from, which all workers share; or, where it is not as in a file (cast, merged, quantized, computed), a private copy.
Homes are found by their address, so no mapping of names is needed. Leaving the device points the modules to the homes
again. Returning copies the homes' bytes to the device. Nothing is ever written to a home.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

from workers.models.device_memory import free_memory
from workers.models.moving.blocks import Block, blocks_of, bytes_of
from workers.models.moving.digests import digests
from workers.models.moving.mappings import FileMapping, file_mappings
from workers.models.moving.slots import Slot, slots_of
from workers.models.moving.staging import Copy, OpenFiles, copy_to_devices


@dataclass(frozen=True)
class _Home:
    """A tensor on the host, and the digest that its copy on the device has while nobody changes it."""

    tensor: torch.Tensor
    digest: int


class Mover:
    """The weights of some modules. They are on the host when this is made, or went straight to the device.

    On a CPU nothing moves, as models work with the mapped pages; ``second_copy`` makes a copy in CPU memory all the
    same.
    """

    def __init__(
        self,
        modules: Iterable[torch.nn.Module],
        device: str,
        *,
        second_copy: bool = False,
        layers: Mapping[str, str] | None = None,
    ) -> None:
        """Open the files that weights are mapped from; they stay open.

        ``layers`` has the devices of parts that are not on ``device``, by the module's number and their name in it:
        ``0.transformer_blocks.5``.

        Raises:
            ModelError: of kind ``stale``: one of them is gone.
        """
        self._modules = list(modules)
        self._device = torch.device(device)
        self._layers = {name: torch.device(place) for name, place in (layers or {}).items()}
        self._moves = second_copy or self._device.type != "cpu"
        # By the objects that modules have: names change when a LoRA is added.
        self._homes: Any = WeakIdKeyDictionary()
        self._files = OpenFiles()
        if self._moves:
            self._in_files(self._on_host())

    def to_device(self, *, keep_private: bool = True) -> None:
        """Copy the weights to the device.

        Without ``keep_private``, a weight that lies in no file's mapping leaves the host, until it comes back once.

        Raises:
            ModelError: of kind ``stale`` or ``load``: a file can't be read any more. The weights stay on the host.
            torch.OutOfMemoryError: likewise.
        """
        if not self._moves:
            return
        blocks = self._in_files(self._on_host())
        targets = [torch.empty(block.size, dtype=torch.uint8, device=self._device_of(block)) for block, *_ in blocks]
        copies = [
            Copy(target, source.path if source else None, source.position(block.start) if source else block.start)
            for (block, source, _), target in zip(blocks, targets, strict=True)
        ]
        copy_to_devices(copies, self._files)
        moved, kept, copied = [], [], []
        for (block, _, mapped), target in zip(blocks, targets, strict=True):
            for slot in block.slots:
                there = Slot(slot.name, block.view(slot, target), slot.places)
                moved.append((slot, there))
                if mapped or keep_private:
                    kept.append((slot, slot.tensor.detach()))
                    copied.append(there)
        # They need memory as well: if there is none, nothing has moved yet.
        numbers = digests(copied)
        for slot, there in moved:
            slot.point_to(there.tensor)
        for (slot, home), digest in zip(kept, numbers, strict=True):
            self._homes[slot.tensor] = _Home(home, digest)

    def to_host(self) -> None:
        """Point the modules to the homes, and free the device's memory. What has no home yet gets one.

        A tensor that is not as it came to the device (merged, cast, replaced) gets a new home.
        """
        free_memory()  # the digests need some
        away = [slot for slot in slots_of(self._modules) if not self._is_on_host(slot)]
        homes: list[tuple[Slot, torch.Tensor]] = []
        changed = []
        for slot, digest in zip(away, digests(away), strict=True):
            home = self._homes.get(slot.tensor)
            if home is not None and home.digest == digest and _same_layout(home.tensor, slot.tensor):
                homes.append((slot, home.tensor))
            else:
                changed.append(slot)
        for block in blocks_of(changed):
            copy = bytes_of(block.slots[0].tensor, block.start, block.stop).to("cpu", copy=True)
            homes += [(slot, block.view(slot, copy)) for slot in block.slots]
        for slot, tensor in homes:
            slot.point_to(tensor)
        self._homes.clear()
        free_memory()

    def private_bytes(self) -> int:
        """The host memory that the weights need for this process alone while they are off the device."""
        slots = []
        for slot in slots_of(self._modules):
            home = self._homes.get(slot.tensor)
            slots.append(slot if home is None else Slot(slot.name, home.tensor, []))
        mappings, blocks = file_mappings(), blocks_of(slots)
        return sum(block.size for block in blocks if mappings.at(block.start, block.stop) is None)

    def _device_of(self, block: Block) -> torch.device:
        name = block.slots[0].name
        while name and name not in self._layers:
            name = name.rpartition(".")[0]
        return self._layers.get(name, self._device)

    def _is_on_host(self, slot: Slot) -> bool:
        return slot.tensor not in self._homes and slot.tensor.device.type == "cpu"

    def _on_host(self) -> list[Slot]:
        return [slot for slot in slots_of(self._modules) if self._is_on_host(slot)]

    def _in_files(self, slots: Iterable[Slot]) -> list[tuple[Block, FileMapping | None, bool]]:
        """The blocks of these slots, which file has the bytes of each, and whether it lies in a file's mapping at all.

        The files are open.
        """
        mappings, blocks = file_mappings(), []
        for block in blocks_of(slots):
            source = mappings.at(block.start, block.stop)
            if source is not None:
                self._files.open(source.path)
            blocks.append((block, source, mappings.have(block.start, block.stop)))
        return blocks


def _same_layout(one: torch.Tensor, other: torch.Tensor) -> bool:
    return (one.dtype, one.shape, one.stride()) == (other.dtype, other.shape, other.stride())
