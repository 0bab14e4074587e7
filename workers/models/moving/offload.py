"""What moves weights where a ``Mover`` does not: quantized ones, and those of a model that a device cannot hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, Protocol

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from accelerate.utils import send_to_device

from workers.models.device_memory import free_memory
from workers.models.moving.mover import Mover
from workers.models.moving.slots import slots_of
from workers.models.quantization import held_bytes


class Moves(Protocol):
    """Moves the weights of a model; see ``Mover``."""

    def to_device(self, *, keep_private: bool = True) -> None: ...

    def to_host(self) -> None: ...

    def private_bytes(self) -> int: ...


class WholeMover:
    """Moves quantized weights, which are no tensors of a file, as torch does."""

    def __init__(self, modules: Iterable[torch.nn.Module], device: str) -> None:
        self._modules = list(modules)
        self._device = device

    def to_device(self, *, keep_private: bool = True) -> None:  # noqa: ARG002 - nothing stays on the host
        self._move(self._device)

    def to_host(self) -> None:
        self._move("cpu")
        free_memory()

    def private_bytes(self) -> int:
        tensors = [tensor for module in self._modules for tensor in (*module.parameters(), *module.buffers())]
        return sum(map(held_bytes, tensors))

    def _move(self, device: str) -> None:
        for module in self._modules:
            module.to(device)


class ModelOffload:
    """One component at a time is on the device: it comes when it is called, and the one before it leaves."""

    def __init__(self, modules: Sequence[torch.nn.Module], movers: Sequence[Moves], device: str) -> None:
        """``movers`` has the one of each module. All weights are on the host."""
        self._movers = movers
        self._there: Moves | None = None
        for module, mover in zip(modules, movers, strict=True):
            add_hook_to_module(module, _Arrival(self, mover, device))

    def to_device(self, *, keep_private: bool = True) -> None:
        """Nothing moves: each component comes when it is called."""

    def to_host(self) -> None:
        self.bring(None)

    def private_bytes(self) -> int:
        return sum(mover.private_bytes() for mover in self._movers)

    def bring(self, mover: Moves | None) -> None:
        """Move what is on the device away, and this one there."""
        if mover is self._there:
            return
        there, self._there = self._there, None
        if there is not None:
            there.to_host()
        if mover is not None:
            mover.to_device()
            self._there = mover


class _Arrival(ModelHook):  # type: ignore[misc]  # accelerate has no types
    """Brings a component when it is called; diffusers calls this before ``encode`` and ``decode`` of a VAE, too."""

    def __init__(self, offload: ModelOffload, mover: Moves, device: str) -> None:
        self.execution_device = torch.device(device)  # pipelines read it
        self._offload = offload
        self._mover = mover

    def pre_forward(self, _module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self._offload.bring(self._mover)
        return send_to_device(args, self.execution_device), send_to_device(kwargs, self.execution_device)


class GroupOffload:
    """One layer at a time is on the device, and the next one comes meanwhile; done by diffusers."""

    def __init__(self, modules: Sequence[torch.nn.Module], device: str) -> None:
        """All weights are on the host; those of files stay mapped."""
        from diffusers.hooks import apply_group_offloading

        self._homes = Mover(modules, "cpu")
        with_stream = device != "cpu"
        for module in modules:
            apply_group_offloading(
                module,
                onload_device=torch.device(device),
                offload_type="leaf_level",
                use_stream=with_stream,
                # Without it all weights are copied into pinned memory.
                low_cpu_mem_usage=with_stream,
            )

    def to_device(self, *, keep_private: bool = True) -> None:
        """Nothing moves: each layer comes when it is called."""

    def to_host(self) -> None:
        free_memory()

    def private_bytes(self) -> int:
        return self._homes.private_bytes()


class LayerOffload:
    """One layer of a model at a time is on the device; what is in none of its layers stays there.

    For a model that is one component. Its layers are those of the longest list of modules, by bytes. What other
    modules read the device of their weights from, such as a vision tower, is there.
    """

    def __init__(self, model: torch.nn.Module, device: str, *, second_copy: bool = False) -> None:
        """All weights are on the host; those of files stay mapped."""
        layers = _layers(model)
        self._rest = Mover(_beside(model, {*layers}), device, second_copy=second_copy)
        movers = [_LayerMover(layer, device, second_copy=second_copy) for layer in layers]
        self._layers = ModelOffload(layers, movers, device)

    def to_device(self, *, keep_private: bool = True) -> None:
        """The layers come when they are called."""
        self._rest.to_device(keep_private=keep_private)

    def to_host(self) -> None:
        self._layers.to_host()
        self._rest.to_host()

    def private_bytes(self) -> int:
        return self._rest.private_bytes() + self._layers.private_bytes()


class _LayerMover:
    """Copies the weights of one layer to the device, and forgets the copies: nothing changes weights meanwhile."""

    def __init__(self, layer: torch.nn.Module, device: str, *, second_copy: bool) -> None:
        self._homes = [(slot, slot.tensor.detach()) for slot in slots_of([layer])]
        self._private = Mover([layer], "cpu").private_bytes()
        self._device = device
        self._copy = second_copy

    def to_device(self, *, keep_private: bool = True) -> None:  # noqa: ARG002 - the homes stay
        for slot, home in self._homes:
            slot.point_to(home.to(self._device, copy=self._copy))

    def to_host(self) -> None:
        for slot, home in self._homes:
            slot.point_to(home)

    def private_bytes(self) -> int:
        return self._private


def _layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    return [*max(lists, key=lambda layers: sum(map(held_bytes, layers.parameters())))]


def _beside(module: torch.nn.Module, layers: Set[torch.nn.Module]) -> Iterator[torch.nn.Module]:
    """The largest modules that hold none of the layers."""
    for child in module.children():
        if layers.isdisjoint(child.modules()):
            yield child
        elif child not in layers:
            yield from _beside(child, layers)


def mover_of(
    modules: Sequence[torch.nn.Module], device: str, *, offload: str, quantized: bool, second_copy: bool
) -> Moves:
    """Return what moves these modules, whose weights are on the host (or, without ``offload``, on the device)."""

    def plain(modules: Sequence[torch.nn.Module]) -> Moves:
        return WholeMover(modules, device) if quantized else Mover(modules, device, second_copy=second_copy)

    if offload == "group":
        return GroupOffload(modules, device)
    if offload == "model":
        return ModelOffload(modules, [plain([module]) for module in modules], device)
    return plain(modules)
