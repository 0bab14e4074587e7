"""Whether the models that a pool holds are those that a run asks for, and what differs. Decided from reports alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from protocol import messages as m


@dataclass(frozen=True)
class Mismatch:
    """A worker that has to load the run's model in place of its own, and why."""

    worker_id: str
    role: m.Role
    why: str


def mismatches(status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec]) -> list[Mismatch]:
    """The workers that hold, or are about to load, another model than the run asks of their role."""
    found = []
    for worker in status.workers:
        wanted = specs.get(worker.role)
        if wanted is None:
            continue
        if worker.spec != wanted:
            found.append(Mismatch(worker.worker_id, worker.role, _difference(worker.spec, wanted)))
        elif worker.state is not None and worker.state.stale:
            found.append(Mismatch(worker.worker_id, worker.role, "the model's files have changed since it was loaded"))
    return found


def usable(worker: m.WorkerStatus, specs: Mapping[m.Role, m.ModelSpec]) -> bool:
    """Whether the worker has the run's model loaded and can be given work."""
    state = worker.state
    ready = worker.alive and worker.endpoint is not None and state is not None and state.phase == "ready"
    if not ready or state is None or state.model is None or state.stale:
        return False
    return state.model.spec == specs.get(worker.role)


def in_the_way(worker: m.WorkerStatus, status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec]) -> bool:
    """Whether the worker, of a role that has nothing to do in this run, holds a model on a GPU that a worker shares
    which has.
    """
    state = worker.state
    loaded = worker.alive and worker.endpoint is not None and state is not None and state.phase == "ready"
    if not loaded or worker.role in specs or not worker.device.startswith("cuda"):
        return False
    return any(other.role in specs and other.device == worker.device for other in status.workers)


def devices(status: m.PoolStatus) -> dict[m.Role, tuple[str, ...]]:
    """The devices of the pool's editors and rewards."""
    editors = tuple(worker.device for worker in status.workers if worker.role == "editor")
    return {"editor": editors, "reward": tuple(worker.device for worker in status.workers if worker.role == "reward")}


def shares_devices(found: Mapping[m.Role, tuple[str, ...]]) -> bool:
    """Whether an editor and a reward are on one GPU; each ``cpu`` is a device of its own."""
    return any(device.startswith("cuda") and device in found["reward"] for device in found["editor"])


def away_from_device(status: m.PoolStatus) -> bool:
    """Whether any loaded model is not on its device."""
    return any(worker.state is not None and _is_away(worker.state) for worker in status.workers)


def _is_away(state: m.WorkerState) -> bool:
    return state.phase == "ready" and state.residency != "device"


def _difference(has: m.ModelSpec, asked: m.ModelSpec) -> str:
    """Each parameter that differs: ``model_name is 'a', not 'b'``."""
    first, second = msgspec.to_builtins(has), msgspec.to_builtins(asked)
    pairs = [("model_name" if key == "name" else key, first[key], second[key]) for key in first if key != "params"]
    names = sorted(first["params"].keys() | second["params"].keys())
    pairs += [(name, first["params"].get(name), second["params"].get(name)) for name in names]
    return ", ".join(f"{key} is {old!r}, not {new!r}" for key, old, new in pairs if old != new)
