"""Which weights to move where, and in which order. Decided without sockets, clocks or threads.

Where an editor and a reward share a device and only one of them is wanted there, a worker's weights go onto it only
when the other's have left. (Both are wanted there only if the user says ``residency: resident`` of a shared device.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from protocol.messages import Residency, Role

Wanted = Literal["device", "away"]
"""Where a role's weights should be: on the device, or anywhere else."""


@dataclass(frozen=True)
class Placement:
    """Where a worker's weights are, and where they are going (None: nowhere)."""

    worker: str
    role: Role
    device: str
    residency: Residency
    moving_to: Residency | None = None


def next_moves(
    workers: Iterable[Placement], desired: Mapping[Role, Wanted], away: Residency
) -> list[tuple[str, Residency]]:
    """The moves that can begin now. Weights that leave a device go to ``away``."""
    all_workers = list(workers)
    moves: list[tuple[str, Residency]] = []
    for one in all_workers:
        if one.moving_to is not None or _is_there(one, desired):
            continue
        if desired[one.role] == "away":
            moves.append((one.worker, away))
        elif not any(desired[other.role] == "away" and _occupies(other, one.device) for other in all_workers):
            moves.append((one.worker, "device"))
    return moves


def settled(workers: Iterable[Placement], desired: Mapping[Role, Wanted]) -> bool:
    """Whether every worker's weights are where they should be."""
    return all(one.moving_to is None and _is_there(one, desired) for one in workers)


def _is_there(one: Placement, desired: Mapping[Role, Wanted]) -> bool:
    return (one.residency == "device") == (desired[one.role] == "device")


def _occupies(worker: Placement, device: str) -> bool:
    """Whether the worker's weights are on the device or on their way: two ``cpu`` entries never are one device."""
    there = worker.residency == "device" or worker.moving_to == "device"
    return there and worker.device == device and device.startswith("cuda")


def off_device(model_bytes: Iterable[int], available_bytes: int) -> Residency:
    """Where weights go when they leave a device: ``host`` if all of them fit into half of the free memory."""
    return "host" if sum(model_bytes) <= available_bytes // 2 else "disk"


def to_read_early(
    workers: Iterable[Placement], role: Role, model_bytes: Mapping[str, int], available_bytes: int
) -> list[str]:
    """The workers of the role whose weights can come from disk into host memory before their turn on the device.

    All of them or none: they are read only if all fit by the rule of ``off_device``. A size of 0 is not known.
    """
    waiting = [one.worker for one in workers if one.role == role and one.residency == "disk" and one.moving_to is None]
    sizes = [model_bytes.get(worker, 0) for worker in waiting]
    return waiting if all(sizes) and off_device(sizes, available_bytes) == "host" else []
