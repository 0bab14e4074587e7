"""What of a model's weights a GPU has to hold, by the headers of its files: whole, offloaded, quantized, spread."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from workers.models.safetensors_files import DamagedFileError, loaded_size, read_header
from workers.models.spreading import room_beside, shares

QUANTIZED_BYTES = {"int8": 1.0, "float8": 1.0, "nf4": 0.5 + 4 / 64}
"""Bytes per weight. nf4 has a scale in float32 for every 64 weights; the others one for each row."""

QUANTIZATION_PACKAGES = {"int8": "torchao", "float8": "torchao", "nf4": "bitsandbytes"}

WORKING_BYTES = {"editor": 10 * 10**9, "reward": 15 * 10**9}
"""Beside the weights, for an edit of one megapixel or a batch of 4 scores. Estimated."""

GPUS = {"24 GB": 24_564, "48 GB": 46_068, "80 GB": 81_559, "141 GB": 143_771}
"""Memory in MiB, as ``nvidia-smi`` shows it: RTX 4090, L40S, H100, H200."""


_LAYER = re.compile(r"(.*?\.\d+)\.")
_KEPT = re.compile(r"embed|lm_head|\.experts\.|\.gate\.weight$")
"""Names of matrices that stay as they are: no linear layers in memory, or those that transformers leaves out."""


class PartSize(Struct):
    """The weights of a component, in bytes; ``linear`` counts the weights of linear layers, which can be quantized.

    ``layers`` has the bytes of each layer, and of all that is in none.
    """

    name: str
    size: int = 0
    largest: int = 0
    linear: int = 0
    linear_bytes: int = 0
    layers: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, shape: tuple[int, ...], size: int) -> None:
        """Count one tensor."""
        self.size += size
        self.largest = max(self.largest, size)
        layer = _LAYER.match(name) if not self.name.startswith("vae") else None
        self.layers[layer[1] if layer else ""] += size
        matrix = len(shape) == 2 and name.endswith(".weight") and not self.name.startswith("vae")
        if matrix and not _KEPT.search(name):
            self.linear += shape[0] * shape[1]
            self.linear_bytes += size

    def bytes(self, quantization: str | None = None) -> int:
        """The size on a device."""
        if quantization is None:
            return self.size
        return self.size - self.linear_bytes + round(self.linear * QUANTIZED_BYTES[quantization])


def parts_of(files: Iterable[Path], dtype: str) -> Mapping[str, PartSize]:
    """Return the components, by the names of the files' folders. Files that cannot be read count as nothing."""
    parts: dict[str, PartSize] = {}
    for path in files:
        part = parts.setdefault(path.parent.name, PartSize(path.parent.name))
        with contextlib.suppress(OSError, DamagedFileError):
            for name, tensor in read_header(path).items():
                part.add(name, tensor.shape, loaded_size(tensor, dtype))
    return parts


def needed_bytes(
    parts: Iterable[PartSize], *, role: str = "editor", offload: str = "none", quantization: str | None = None
) -> int:
    """Return the largest part of the weights that is on the device at a time."""
    if offload == "group" and role == "reward":
        return sum(map(_beside_layers, parts))
    if offload == "group":
        return 2 * max((part.largest for part in parts), default=0)  # the layer that works, and the next one
    sizes = [part.bytes(quantization) for part in parts]
    return max(sizes, default=0) if offload == "model" else sum(sizes)


def _beside_layers(part: PartSize) -> int:
    """All but the layers of the longest list, and one of these."""
    lists: dict[str, list[int]] = {}
    for layer, size in part.layers.items():
        if layer:
            lists.setdefault(layer.rpartition(".")[0], []).append(size)
    longest = max(lists.values(), key=sum, default=[0])
    return part.size - sum(longest) + max(longest)


def spread_bytes(parts: Iterable[PartSize], memory: Sequence[int], role: str) -> list[int]:
    """Return the bytes on each GPU of the weights of a model that is spread over GPUs with this memory."""
    components = [_layers(part) for part in sorted(parts, key=lambda part: part.name)]
    return shares(components, room_beside(memory, sum(map(sum, components)), WORKING_BYTES[role]))


def _layers(part: PartSize) -> list[int]:
    """The bytes of what is in no layer, and of each layer."""
    return [part.layers[""], *(size for layer, size in part.layers.items() if layer)]


class Way(Struct, frozen=True):
    """A way to have a model on a GPU: the keys that ask for it, what of its weights is there at most, and where that
    fits."""

    keys: str
    size: int
    fits: Mapping[str, bool] = field(default_factory=dict)


_WAYS: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    "editor": (
        ("none", None),
        ("model", None),
        ("group", None),
        ("none", "int8"),
        ("model", "int8"),
        ("none", "nf4"),
        ("model", "nf4"),
    ),
    "reward": (("none", None), ("group", None), ("none", "int8"), ("none", "nf4")),
}


_GROUPS = (2, 4)
"""How many GPUs of one kind a model may be spread over."""


def ways(parts: Iterable[PartSize], role: str) -> list[Way]:
    """Return every way that the role has keys for, with the GPUs that have room for it and for the work."""
    parts = list(parts)
    whole, *others = (_way(parts, role, offload, quantization) for offload, quantization in _WAYS[role])
    return [whole, *(_spread(parts, role, count) for count in _GROUPS), *others]


def _spread(parts: list[PartSize], role: str, count: int) -> Way:
    size = max(spread_bytes(parts, [1] * count, role))
    fits = {f"{count} x {name}": size + WORKING_BYTES[role] <= mebibytes * 2**20 for name, mebibytes in GPUS.items()}
    return Way(f"gpus_per_worker: {count}", size, fits)


def _way(parts: list[PartSize], role: str, offload: str, quantization: str | None) -> Way:
    named = {"offload": offload if offload != "none" else None, "quantization": quantization}
    keys = ", ".join(f"{name}: {value}" for name, value in named.items() if value is not None)
    size = needed_bytes(parts, role=role, offload=offload, quantization=quantization)
    fits = {name: size + WORKING_BYTES[role] <= mebibytes * 2**20 for name, mebibytes in GPUS.items()}
    return Way(keys or "whole", size, fits)
