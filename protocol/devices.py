"""The names of devices, as plans, messages, cards and reports have them.

``cpu``; ``cuda:N``, one GPU; ``cuda:0+1``, the GPUs over which a worker's model is spread. A worker on another machine
is planned for ``cpu``, ``gpu`` or, with several, ``gpu:2``; once it has joined, its host comes first:
``node7:cuda:0+1``.
"""

from __future__ import annotations

from collections.abc import Sequence


def gpu_group(entries: Sequence[int | str]) -> str:
    """Return the name of these GPUs as one device: ``cuda:0+1``."""
    return f"cuda:{'+'.join(map(str, entries))}"


def gpus_of(device: str) -> tuple[str, ...]:
    """Return each GPU of a device of this machine, as ``cuda:N``; none of a CPU or of another machine's device."""
    kind, _, entries = device.partition(":")
    return tuple(f"cuda:{entry}" for entry in (entries or "0").split("+")) if kind == "cuda" else ()


def share_a_gpu(one: str, other: str) -> bool:
    """Return whether two devices of this machine have a GPU in common. Each ``cpu`` is a device of its own."""
    return not set(gpus_of(one)).isdisjoint(gpus_of(other))


def gpus_elsewhere(count: int) -> str:
    """Return the name of ``count`` GPUs that a placer is to find; 0 is a CPU."""
    return ("cpu", "gpu")[count] if count < 2 else f"gpu:{count}"


def gpu_count(device: str) -> int:
    """Return how many GPUs a device has, here or elsewhere; 0 for a CPU."""
    kind, _, count = device.partition(":")
    if kind == "gpu":
        return int(count or 1)
    return 0 if device.rpartition(":")[2] == "cpu" else device.count("+") + 1
