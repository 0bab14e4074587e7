"""Writes random weights as sharded safetensors, one shard at a time, so that only one is in memory."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Shape = tuple[int, ...]

_BYTES = 2
"""The size of a bfloat16."""


def plan_shards(shapes: Mapping[str, Shape], shard_bytes: int) -> list[list[str]]:
    """Distribute the weights, in order, over files of at most ``shard_bytes``."""
    shards: list[list[str]] = []
    size = 0
    for name, shape in shapes.items():
        own = math.prod(shape) * _BYTES
        if not shards or size + own > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += own
    return shards


def shard_names(stem: str, count: int) -> list[str]:
    """The files of ``count`` shards, as the libraries name them."""
    return [f"{stem}-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def total_bytes(shapes: Mapping[str, Shape]) -> int:
    """The size of all these weights."""
    return sum(math.prod(shape) * _BYTES for shape in shapes.values())


def missing_bytes(folder: Path, shapes: Mapping[str, Shape], stem: str, shard_bytes: int) -> int:
    """The size of the shards that do not exist yet."""
    shards = plan_shards(shapes, shard_bytes)
    files = zip(shard_names(stem, len(shards)), shards, strict=True)
    missing = (name for file, names in files if not (folder / file).exists() for name in names)
    return total_bytes({name: shapes[name] for name in missing})


def write_weights(
    folder: Path, shapes: Mapping[str, Shape], *, stem: str, shard_bytes: int, device: str, between: Callable[[], None]
) -> None:
    """Write the missing shards, then their index; ``between`` is called before each shard and may raise."""
    shards = plan_shards(shapes, shard_bytes)
    files = shard_names(stem, len(shards))
    for file, names in zip(files, shards, strict=True):
        if not (folder / file).exists():
            between()
            write_shard(folder / file, {name: shapes[name] for name in names}, device=device)
    where = {name: file for file, names in zip(files, shards, strict=True) for name in names}
    index = {"metadata": {"total_size": total_bytes(shapes)}, "weight_map": where}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def write_shard(path: Path, shapes: Mapping[str, Shape], *, device: str, seed: int = 0) -> None:
    """Draw these weights on the device, in bfloat16, and write them; the file gets its name when it is complete."""
    from safetensors.torch import save_file

    fresh = path.with_name(f".{path.name}.part")
    save_file(
        {name: draw(name, shape, device=device, seed=seed) for name, shape in shapes.items()},
        fresh,
        metadata={"format": "pt"},
    )
    fresh.rename(path)


def draw(name: str, shape: Shape, *, device: str, seed: int) -> Any:
    """One weight, on the host. Biases are 0, the scales of norms 1; a layer keeps the variance of its input."""
    import torch

    if len(shape) == 1 or name.endswith("gamma"):
        return torch.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=torch.bfloat16)
    # A generator per weight: the values must not depend on which shards existed already.
    # (The CPU's generator uses only the lower 32 bits of a seed.)
    generator = torch.Generator(device=device).manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    values = torch.empty(shape, dtype=torch.bfloat16, device=device)
    values.normal_(0.0, fan_in(name, shape) ** -0.5, generator=generator)
    return values.cpu()


def fan_in(name: str, shape: Sequence[int]) -> int:
    """The number of inputs per output. Experts are (experts, inputs, outputs), all others have outputs first."""
    return shape[1] if ".experts." in name else math.prod(shape[1:])
