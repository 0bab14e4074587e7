"""Whether a pool holds the models that a run asks for, and what differs. Pure: decided from the launcher's reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from protocol import messages as m


@dataclass(frozen=True)
class Mismatch:
    """A worker that has to replace its model by the run's, and why."""

    worker_id: str
    role: m.Role
    why: str


def mismatches(
    status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec], again: Collection[str] = ()
) -> list[Mismatch]:
    """The workers that hold, or are about to load, another model than the run asks of their role, and those that are to
    load it ``again``.
    """
    differing = []
    for worker in status.workers:
        wanted = specs.get(worker.role)
        if wanted is None:
            continue
        if worker.spec != wanted:
            differing.append(Mismatch(worker.worker_id, worker.role, _difference(worker.spec, wanted)))
        elif worker.state is not None and worker.state.stale:
            differing.append(
                Mismatch(worker.worker_id, worker.role, "the model's files have changed since it was loaded")
            )
        elif worker.worker_id in again:
            differing.append(Mismatch(worker.worker_id, worker.role, "it could not be loaded before"))
    return differing


def without_model(status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec]) -> set[str]:
    """The workers that failed to load the run's model, of roles of which no worker has it.

    What kept them from it may be fixed by now, and without them the run is over.
    """
    failed: set[str] = set()
    for role, spec in specs.items():
        workers = [worker for worker in status.workers if worker.role == role and not worker.gave_up]
        if all(_has_failed(worker) and worker.spec == spec for worker in workers):
            failed.update(worker.worker_id for worker in workers)
    return failed


def has_loaded_since(worker: m.WorkerStatus, epoch: int) -> bool:
    """Whether its last load was asked for under this lease, or it has not failed."""
    return not _has_failed(worker) or (worker.state is not None and worker.state.epoch >= epoch)


def _has_failed(worker: m.WorkerStatus) -> bool:
    return worker.alive and worker.state is not None and worker.state.phase == "failed"


def usable(worker: m.WorkerStatus, specs: Mapping[m.Role, m.ModelSpec]) -> bool:
    """Whether the worker has the run's model loaded and can work."""
    state = worker.state
    ready = worker.alive and worker.endpoint is not None and state is not None and state.phase == "ready"
    if not ready or state is None or state.model is None or state.stale:
        return False
    return state.model.spec == specs.get(worker.role)


def in_the_way(worker: m.WorkerStatus, status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec]) -> bool:
    """Whether the worker's role has nothing to do in this run, but its model may hold a GPU that the run needs."""
    state = worker.state
    loaded = worker.alive and worker.endpoint is not None and state is not None and state.phase == "ready"
    if not loaded or worker.role in specs or not worker.device.startswith("cuda"):
        return False
    return any(other.role in specs and other.device == worker.device for other in status.workers)


def devices(status: m.PoolStatus) -> dict[m.Role, tuple[str, ...]]:
    """The devices of the pool's editors and rewards."""
    editors = tuple(worker.device for worker in status.workers if worker.role == "editor")
    return {"editor": editors, "reward": tuple(worker.device for worker in status.workers if worker.role == "reward")}


def shares_devices(by_role: Mapping[m.Role, tuple[str, ...]]) -> bool:
    """Whether an editor and a reward share a GPU; each ``cpu`` is a device of its own."""
    return any(device.startswith("cuda") and device in by_role["reward"] for device in by_role["editor"])


def away_from_device(status: m.PoolStatus) -> bool:
    """Whether any loaded model is not on its device."""
    states = [worker.state for worker in status.workers if worker.state is not None]
    return any(state.phase == "ready" and state.residency != "device" for state in states)


def _difference(held: m.ModelSpec, wanted: m.ModelSpec) -> str:
    """Each parameter that differs: ``model_name from 'a' to 'b'``."""
    first, second = msgspec.to_builtins(held), msgspec.to_builtins(wanted)
    pairs = [("model_name" if key == "name" else key, first[key], second[key]) for key in first if key != "params"]
    names = sorted(first["params"].keys() | second["params"].keys())
    pairs += [(name, first["params"].get(name), second["params"].get(name)) for name in names]
    return ", ".join(f"{key} from {old!r} to {new!r}" for key, old, new in pairs if old != new)
