"""A small module of mapped weights, with what makes moving them difficult."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.models.moving.mover import Mover


def small() -> Any:
    """Tied weights, a transposed view, a buffer that no file has, and one tensor in another type than its file's."""
    import torch

    class Small(torch.nn.Module):  # type: ignore[misc] # torch is Any to mypy
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(50, 24)
            self.middle = torch.nn.Linear(24, 24)
            self.head = torch.nn.Linear(24, 50, bias=False)
            self.same = torch.nn.Linear(24, 24, bias=False)
            self.register_buffer("scale", torch.arange(24, dtype=torch.float64), persistent=False)
            self.register_buffer("counts", torch.arange(7, dtype=torch.uint8))

        def forward(self, tokens: Any) -> Any:
            values = self.middle(self.embedding(tokens)).float() * self.scale.float()
            return self.head(self.same(values.to(self.head.weight.dtype)))

    return Small()


def save(file: Path, seed: int = 0) -> None:
    """Write the weights of a module."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    weights = {name: tensor.detach().clone() for name, tensor in small().state_dict().items()}
    del weights["head.weight"], weights["same.weight"]
    save_file(weights, file)


def load(file: Path) -> Any:
    """A module whose weights are the file's pages."""
    import torch
    from safetensors.torch import load_file

    module = small()
    module.load_state_dict(load_file(file), strict=False, assign=True)
    module.head.weight = module.embedding.weight  # one parameter under two names
    module.same.weight = torch.nn.Parameter(module.middle.weight.detach().T)  # two parameters of the same bytes
    module.eval()
    return module


def second_copy(module: Any) -> Mover:
    """A mover with a second copy in CPU memory as its device."""
    from workers.models.moving.mover import Mover

    return Mover([module], "cpu", second_copy=True)


def addresses(module: Any) -> dict[str, int]:
    """Where each parameter and buffer is."""
    return {name: tensor.data_ptr() for name, tensor in tensors(module).items()}


def tensors(module: Any) -> dict[str, Any]:
    """All parameters and buffers, under each of their names."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    return {**parameters, **dict(module.named_buffers(remove_duplicate=False))}


def hashes(module: Any) -> dict[str, str]:
    """The SHA-256 of each tensor."""
    return {name: hashlib.sha256(content(tensor)).hexdigest() for name, tensor in tensors(module).items()}


def content(tensor: Any) -> Any:
    """The bytes of a tensor."""
    import torch

    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy()
