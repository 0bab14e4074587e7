"""Devices that are told apart on a machine with one CPU: what a tensor of one meets of another is an error, as on GPUs.

``cpu:0`` and ``cpu:1`` are the same memory to torch. This mode remembers which of them each tensor belongs to, answers
``tensor.device`` accordingly, and checks the tensors of each call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from workers.models.moving.blocks import blocks_of
from workers.models.moving.mover import Mover
from workers.models.moving.slots import slots_of

_HOST = torch.device("cpu")
_DEVICE = torch.Tensor.device.__get__
_TO = ("to", "type_as")
_INDEXING = ("__getitem__", "__setitem__", "copy_", "set_", "index_put_", "masked_scatter")
"""Calls that take a tensor of the host beside those of a device, or copy between devices."""


class DeviceMixError(Exception):
    """Tensors of different devices met."""


class ToldApart(TorchFunctionMode):  # type: ignore[misc]  # torch is Any to mypy
    """``moved`` counts the copies from one device to another."""

    def __init__(self, mover: Mover) -> None:
        super().__init__()
        self.moved = 0
        self._devices: Any = WeakIdKeyDictionary()
        for block in blocks_of(slots_of(mover._modules)):
            for slot in block.slots:
                self._devices[slot.tensor] = mover._device_of(block)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func == _DEVICE:
            return self._of(args[0])
        inputs = list(_tensors((args, kwargs)))
        moves = name in _TO
        device = self._target(args[1:], kwargs) if moves else self._made_on(name, inputs, kwargs)
        device = device or self._of(inputs[0])
        self.moved += moves and self._of(inputs[0]) != device
        result = func(*args, **kwargs)
        for tensor in _tensors(result):
            if moves or tensor not in self._devices:
                self._devices[tensor] = device
        return result

    def _of(self, tensor: torch.Tensor) -> torch.device:
        return self._devices.get(tensor, _HOST)

    def _made_on(self, name: str, inputs: Sequence[torch.Tensor], kwargs: Any) -> torch.device:
        common = self._common(name, inputs)
        if name == "cpu":
            return _HOST
        return common if kwargs.get("device") is None else torch.device(kwargs["device"])

    def _common(self, name: str, inputs: Sequence[torch.Tensor]) -> torch.device:
        devices = {self._of(tensor) for tensor in inputs if tensor.dim()} or {self._of(tensor) for tensor in inputs}
        if len(devices) > 1 and name in _INDEXING:
            devices = {self._of(inputs[0])} if name != "__getitem__" else devices - {_HOST}
        if len(devices) > 1:
            raise DeviceMixError(f"{name}: {', '.join(sorted(map(str, devices)))}")
        return devices.pop() if devices else _HOST

    def _target(self, args: Any, kwargs: Any) -> torch.device | None:
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Tensor):
                return self._of(value)
            if isinstance(value, torch.device | str | int) and not isinstance(value, bool):
                return torch.device(value)
        return None


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
