"""On which GPU each layer of a model is that is spread over several. Pure.

Each component is cut into runs of layers, one for each GPU, in proportion to their room. So each begins on the first
GPU, where a pipeline has its inputs and outputs, and activations go from one GPU to the next once per pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_SMALL = 0.05
"""A component with at most this share of all weights stays whole: to cut it would cost time and give no room."""

Layers = Sequence[int]
"""The bytes of what is in no layer of a component, and of its layers, in the order of their work."""


def spread(components: Sequence[Layers], room: Sequence[int]) -> list[list[int]]:
    """Return the number of the GPU of each entry, which is 0 for the first one of each component: what is in no layer.

    ``room`` is what each GPU has for weights, in bytes.

    Layers are placed even if there is not enough room: see ``loads``.
    """
    total = sum(map(sum, components))
    left = [float(max(bytes_, 1)) for bytes_ in room]
    gpus: dict[int, list[int]] = {}
    whole = [number for number, layers in enumerate(components) if len(layers) < 2 or sum(layers) <= _SMALL * total]
    for number in whole:
        gpus[number] = [0] * len(components[number])
        left[0] = max(left[0] - sum(components[number]), 1.0)
    for number, layers in enumerate(components):
        if number not in gpus:
            gpus[number] = list(_cut(layers, left))
            for gpu, size in zip(gpus[number], layers, strict=True):
                left[gpu] = max(left[gpu] - size, 1.0)
    return [gpus[number] for number in range(len(components))]


def _cut(layers: Layers, left: Sequence[float]) -> Iterator[int]:
    """The GPU of each layer: the one in whose part of the component the layer's middle lies; the first one's is 0."""
    scale, gpu, before = sum(layers) / sum(left), 0, 0
    end = left[0] * scale
    for size in layers:
        while before and before + size / 2 > end and gpu + 1 < len(left):
            gpu += 1
            end += left[gpu] * scale
        yield gpu
        before += size


def loads(components: Sequence[Layers], gpus: Sequence[Sequence[int]], count: int) -> list[int]:
    """Return the bytes of the weights on each of ``count`` GPUs, of layers that are placed so."""
    held = [0] * count
    for layers, places in zip(components, gpus, strict=True):
        for size, gpu in zip(layers, places, strict=True):
            held[gpu] += size
    return held


def room_beside(memory: Sequence[int], needed: int, working: int) -> list[int]:
    """Return what each GPU has for ``needed`` bytes of weights: its memory less that to work with, if this will do."""
    room = [max(0, free - working) for free in memory]
    return room if sum(room) >= needed else list(memory)


def shares(components: Sequence[Layers], room: Sequence[int]) -> list[int]:
    """Return the bytes of the weights on each GPU."""
    return loads(components, spread(components, room), len(room))
