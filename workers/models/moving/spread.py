"""A model that is spread over several devices: which of its layers is where, and how activations get there.

Layers are the entries of lists with modules in them that must not be cut, as their class says for the device maps of
diffusers and transformers (``_no_split_modules``). All else is on the first device, also between two lists: what a
class computes beside its layers never meets tensors of two devices. Those device maps move the weights themselves, and
could not take them off the devices and back; here a ``Mover`` does that.
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

Layers = Sequence[tuple[str, torch.nn.ModuleList]]
"""Lists of layers, with their names in a module."""


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
    lists = [lists_of(module) if name in cut else () for name, module in modules.items()]
    sizes = [_sizes(module, layers) for module, layers in zip(modules.values(), lists, strict=True)]
    needed = sum(map(sum, sizes))
    if needed > sum(memory):
        free = " and ".join(f"{bytes_ / 1e9:.1f}" for bytes_ in memory)
        raise ModelError("oom", f"the weights take {needed / 1e9:.1f} GB, and {', '.join(devices)} have {free} GB")
    places = spread(sizes, room_beside(memory, needed, WORKING_BYTES[role]))
    away: dict[str, str] = {}
    for number, (module, layers, gpus) in enumerate(zip(modules.values(), lists, places, strict=True)):
        found = _align(module, layers if any(gpus) else (), [devices[gpu] for gpu in gpus[1:]], devices[0])
        away |= {f"{number}.{name}": device for name, device in found.items()}
    held = loads(sizes, places, len(devices))
    shares = ", ".join(f"{device} {size / 1e9:.1f} GB" for device, size in zip(devices, held, strict=True))
    _log.info("the weights are spread: %s", shares)
    return Mover(modules.values(), devices[0], second_copy=second_copy, layers=away)


def lists_of(module: torch.nn.Module) -> Layers:
    """Return the outermost lists of layers. A class that does not say what must not be cut has none."""
    whole = set(getattr(module, "_no_split_modules", None) or ())
    return list(_inner(module, "", whole))


def _inner(module: torch.nn.Module, prefix: str, whole: set[str]) -> Iterator[tuple[str, torch.nn.ModuleList]]:
    for name, part in module.named_children():
        if type(part).__name__ in whole or whole.isdisjoint(type(inner).__name__ for inner in part.modules()):
            continue
        if isinstance(part, torch.nn.ModuleList):
            yield f"{prefix}{name}", part
        else:
            yield from _inner(part, f"{prefix}{name}.", whole)


def _align(module: torch.nn.Module, lists: Layers, devices: Sequence[str], main: str) -> dict[str, str]:
    """Have each layer get its inputs on its device, and all around the layers on the main one, where lists end, too.

    Return the layers that are elsewhere, by name.
    """
    for part in _around(module, lists):
        add_hook_to_module(part, _Alignment(main, part, back=main))
    away: dict[str, str] = {}
    places = iter(devices)
    for name, layers in lists:
        for number, layer in enumerate(layers):
            device = next(places)
            ends = number == len(layers) - 1
            add_hook_to_module(layer, _Alignment(device, layer, back=main if ends else None))
            if device != main:
                away[f"{name}.{number}"] = device
    return away


def _around(module: torch.nn.Module, lists: Layers) -> list[torch.nn.Module]:
    """The modules that the lists are in, and those beside the lists."""
    held = {id(part) for _, part in lists}
    names = {name.rsplit(".", count)[0] for name, _ in lists for count in range(1, name.count(".") + 1)}
    outer = [module, *(module.get_submodule(name) for name in sorted(names))]
    inner = [part for container in outer if lists for part in container.children() if id(part) not in held]
    return [*{id(part): part for part in (*outer, *inner)}.values()]


def _sizes(module: torch.nn.Module, lists: Layers) -> list[int]:
    """The bytes of what is in no layer, and of each layer; weights that several share count once."""
    counted: set[int] = set()
    sizes = []
    for part in (*(layer for _, layers in lists for layer in layers), module):
        held = {id(tensor): tensor for tensor in (*part.parameters(), *part.buffers())}
        new = [tensor for number, tensor in held.items() if number not in counted]
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in new))
        counted |= held.keys()
    return [sizes[-1], *sizes[:-1]]


class _Alignment(ModelHook):  # type: ignore[misc]  # accelerate has no types
    """Sends what a module is called with to its device, and what it returns ``back``.

    Pipelines read ``execution_device``.
    """

    def __init__(self, device: str, module: torch.nn.Module, *, back: str | None = None) -> None:
        self.execution_device = torch.device(device)
        self._back = None if back is None else torch.device(back)
        # What a class keeps in place, such as caches that have parts on each device.
        names = getattr(module, "_skip_keys_device_placement", None) or getattr(module, "_skip_keys", None)
        self._kept = [names] if isinstance(names, str) else list(names or ())

    def pre_forward(self, _module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        device = self.execution_device
        return send_to_device(args, device), send_to_device(kwargs, device, skip_keys=self._kept)

    def post_forward(self, _module: torch.nn.Module, output: Any) -> Any:
        return output if self._back is None else send_to_device(output, self._back, skip_keys=self._kept)
