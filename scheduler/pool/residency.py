"""Which weights to move where, and in which order. Pure.

Where an editor and a reward share a GPU and only one of them is wanted on it, its weights move there only after the
other's have left. (Both are wanted there only if the config has ``residency: resident`` for a shared device.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from protocol.devices import share_a_gpu
from protocol.messages import Residency, Role

Wanted = Literal["device", "away"]
"""Where a role's weights should be: on the device, or anywhere else."""


class Placement(Struct, frozen=True):
    """Where a worker's weights are, and where they are moving (None: they stay)."""

    worker: str
    role: Role
    device: str
    residency: Residency
    moving_to: Residency | None = None


def next_moves(
    placements: Iterable[Placement], desired: Mapping[Role, Wanted], away: Residency
) -> list[tuple[str, Residency]]:
    """The moves that can begin now. Weights that leave a device go to ``away``."""
    all_placements = list(placements)
    moves: list[tuple[str, Residency]] = []
    for placement in all_placements:
        if placement.moving_to is not None or _is_settled(placement, desired):
            continue
        if desired[placement.role] == "away":
            moves.append((placement.worker, away))
        elif not any(desired[other.role] == "away" and _occupies(other, placement.device) for other in all_placements):
            moves.append((placement.worker, "device"))
    return moves


def settled(placements: Iterable[Placement], desired: Mapping[Role, Wanted]) -> bool:
    """Whether every worker's weights are where they should be."""
    return all(placement.moving_to is None and _is_settled(placement, desired) for placement in placements)


def _is_settled(placement: Placement, desired: Mapping[Role, Wanted]) -> bool:
    return (placement.residency == "device") == (desired[placement.role] == "device")


def _occupies(placement: Placement, device: str) -> bool:
    """Whether the weights are on a GPU of the device or moving there. Two ``cpu`` entries are never one device."""
    return "device" in (placement.residency, placement.moving_to) and share_a_gpu(placement.device, device)


class Weights(Struct, frozen=True):
    """What a worker's weights take in host memory: ``own`` bytes of ``size`` are a copy in its process. The others are
    pages of mapped files, which all workers with the same ``model`` share.
    """

    model: str
    size: int
    own: int


def off_device(weights: Iterable[Weights], available_bytes: int) -> Residency:
    """Where weights go when they leave a device: ``host`` if nine tenths of the available memory hold all of them."""
    workers = list(weights)
    files = {worker.model: worker.size - worker.own for worker in workers}
    needed = sum(files.values()) + sum(worker.own for worker in workers)
    return "host" if needed <= available_bytes * 9 // 10 else "disk"


def to_read_early(
    placements: Iterable[Placement], role: Role, models: Mapping[str, Weights], available_bytes: int
) -> list[str]:
    """The workers of the role whose weights can be read from disk into host memory before their turn on the device.

    All or none: they are read only if all fit by the rule of ``off_device``. ``models`` has the weights by worker; a
    size of 0 means not known.
    """
    on_disk = [placement for placement in placements if placement.role == role and placement.residency == "disk"]
    waiting = [placement.worker for placement in on_disk if placement.moving_to is None]
    known = [models[worker] for worker in waiting if worker in models and models[worker].size]
    return waiting if len(known) == len(waiting) and off_device(known, available_bytes) == "host" else []
