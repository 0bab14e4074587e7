"""A model that is spread over several devices: which of its layers is where, and how activations get there.

What is whole is decided by the libraries: a class lists the modules that must not be cut (``_no_split_modules``), as
for their own device maps. Those move the weights themselves, and could not leave the devices to come back; here a
``Mover`` does that.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from accelerate.utils import send_to_device

from protocol.messages import Role
from workers.interface import ModelError
from workers.models.fitting import WORKING_BYTES
from workers.models.moving.mover import Mover
from workers.models.spreading import loads, room_beside, spread

_log = logging.getLogger(__name__)

Layer = tuple[str, torch.nn.Module]


def spread_over(
    modules: Mapping[str, torch.nn.Module],
    devices: Sequence[str],
    memory: Sequence[int],
    role: Role,
    *,
    cut: Collection[str],
    second_copy: bool = False,
) -> Mover:
    """Place the modules, whose weights are on the host, on the devices, and return what moves them.

    Inputs and outputs are on the first device. ``memory`` is what each device has, in bytes; ``cut`` names the modules
    that are only ever called, so that they may be on several.

    Raises:
        ModelError: of kind ``oom``: the devices cannot hold them.
    """
    parts = [layers_of(module) if name in cut else [("", module)] for name, module in modules.items()]
    sizes = [_sizes(module, layers) for module, layers in zip(modules.values(), parts, strict=True)]
    needed = sum(map(sum, sizes))
    if needed > sum(memory):
        free = " and ".join(f"{bytes_ / 1e9:.1f}" for bytes_ in memory)
        raise ModelError("oom", f"the weights take {needed / 1e9:.1f} GB, and {', '.join(devices)} have {free} GB")
    places = spread(sizes, room_beside(memory, needed, WORKING_BYTES[role]))
    away: dict[str, str] = {}
    for number, (module, layers, gpus) in enumerate(zip(modules.values(), parts, places, strict=True)):
        if any(gpus):
            away |= _align(module, layers, [devices[gpu] for gpu in gpus], devices[0], f"{number}.")
        else:
            add_hook_to_module(module, _Alignment(devices[0], module))
    held = loads(sizes, places, len(devices))
    shares = ", ".join(f"{device} {size / 1e9:.1f} GB" for device, size in zip(devices, held, strict=True))
    _log.info("the weights are spread: %s", shares)
    return Mover(modules.values(), devices[0], second_copy=second_copy, layers=away)


def layers_of(module: torch.nn.Module) -> list[Layer]:
    """Return the parts that stay on one device, in the order in which they are declared, by name.

    Of lists that have modules in them that must not be cut, each entry is a part: it may add its input to its output.
    A class that names no such modules is whole.
    """
    whole = set(getattr(module, "_no_split_modules", None) or ())
    return [*_inner(module, "", whole)] or [("", module)] if whole else [("", module)]


def _inner(module: torch.nn.Module, prefix: str, whole: Collection[str]) -> Iterator[Layer]:
    for name, part in module.named_children():
        kinds = {type(inner).__name__ for inner in part.modules()}
        if isinstance(module, torch.nn.ModuleList) or type(part).__name__ in whole or kinds.isdisjoint(whole):
            yield f"{prefix}{name}", part
        else:
            yield from _inner(part, f"{prefix}{name}.", whole)


def _align(
    module: torch.nn.Module, layers: Sequence[Layer], devices: Sequence[str], main: str, prefix: str
) -> dict[str, str]:
    """Have each layer get its inputs on its device, and all around the layers on the main one.

    Return the layers that are elsewhere. One that shares weights with an earlier one goes to the device of that.
    """
    first: dict[int, str] = {}
    away: dict[str, str] = {}
    for (name, layer), wanted in zip(layers, devices, strict=True):
        tied = [first[id(weight)] for weight in layer.parameters() if id(weight) in first]
        device = tied[0] if tied else wanted
        first |= {id(weight): device for weight in layer.parameters()}
        add_hook_to_module(layer, _Alignment(device, layer))
        if device != main:
            away[f"{prefix}{name}"] = device
    inside = {id(part) for _, layer in layers for part in layer.modules()}
    for part in module.modules():
        if id(part) not in inside and not isinstance(part, torch.nn.ModuleList | torch.nn.ModuleDict):
            add_hook_to_module(part, _Return(main, part))
    return away


def _sizes(module: torch.nn.Module, layers: Sequence[Layer]) -> list[int]:
    """The bytes of each layer, of which the first has what is in none; weights that several share count once."""
    counted: set[int] = set()
    sizes = []
    for _, layer in (*layers, ("", module)):
        held = {id(tensor): tensor for tensor in (*layer.parameters(), *layer.buffers())}
        new = [tensor for number, tensor in held.items() if number not in counted]
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in new))
        counted |= held.keys()
    sizes[0] += sizes.pop() if len(sizes) > 1 else 0
    return sizes


class _Alignment(ModelHook):  # type: ignore[misc]  # accelerate has no types
    """Sends what a module is called with to its device; pipelines read ``execution_device``."""

    def __init__(self, device: str, module: torch.nn.Module) -> None:
        self.execution_device = torch.device(device)
        # What a class keeps in place, such as caches that have parts on each device.
        names = getattr(module, "_skip_keys_device_placement", None) or getattr(module, "_skip_keys", None)
        self._kept = [names] if isinstance(names, str) else list(names or ())

    def pre_forward(self, _module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return self._sent(args), self._sent(kwargs)

    def _sent(self, values: Any) -> Any:
        return send_to_device(values, self.execution_device, skip_keys=self._kept)


class _Return(_Alignment):
    """The same, and what the module returns."""

    def post_forward(self, _module: torch.nn.Module, output: Any) -> Any:
        return self._sent(output)
