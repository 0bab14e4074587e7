"""Whether a pool is what a run asks for, and what differs. Pure: decided from the launcher's card and reports."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, to_builtins

from protocol import messages as m
from protocol.devices import gpu_count, share_a_gpu
from protocol.plan import PoolSettings, threads

Commands = Mapping[m.Role, Sequence[str]]
"""For each role the command that runs Python in its workers' environment."""


class Mismatch(Struct, frozen=True):
    """A worker that has to replace its model by the run's, and why.

    With a ``command``, in a new process of that: it runs in another Python, or with another number of threads, which
    OpenMP reads once.
    """

    worker_id: str
    role: m.Role
    why: str
    command: Sequence[str] | None = None


def mismatches(
    status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec], commands: Commands, again: Collection[str] = ()
) -> list[Mismatch]:
    """The workers that hold, or are about to load, another model than the run asks of their role, or run in another
    Python, and those that are to load it ``again``.
    """
    differing = []
    for worker in status.workers:
        wanted = specs.get(worker.role)
        if wanted is None:
            continue
        other_python = not same_python(worker.command, commands[worker.role])
        command = commands[worker.role] if other_python else worker.command
        anew = other_python or threads(worker.spec) != threads(wanted)
        why = _difference(worker.spec, wanted)
        if other_python:
            python = f"Python from {_python(worker.command)!r} to {_python(commands[worker.role])!r}"
            why = ", ".join(filter(None, (python, why)))
        elif not why and worker.state is not None and worker.state.stale:
            why = "the model's files have changed since it was loaded"
        elif not why and worker.worker_id in again:
            why = "it could not be loaded before"
        if why:
            differing.append(Mismatch(worker.worker_id, worker.role, why, command if anew else None))
    return differing


def same_python(held: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether two commands run the same Python. Models without an environment of their own take the launcher's."""
    if not held or len(held) == len(wanted) == 1:
        return True
    return _resolved(held) == _resolved(wanted)


def _resolved(command: Sequence[str]) -> tuple[str, ...]:
    """The folder counts: the Pythons of all virtual environments are links to the same file, under several names."""
    folder, _ = os.path.split(command[0])
    return (os.path.realpath(folder), os.path.realpath(command[0]), *command[1:])


def _python(command: Sequence[str]) -> str:
    return " ".join(command).removesuffix(" -s")


def unequal_settings(held: PoolSettings | None, wanted: PoolSettings) -> list[str]:
    """Each setting that was decided when the pool was launched and that the config has otherwise."""
    if held is None:
        return []
    unequal = [
        f"{section}.{name} from {_as_in_yaml(getattr(held, name))} to {_as_in_yaml(getattr(wanted, name))}"
        for section, name in _SETTINGS
        if getattr(held, name) != getattr(wanted, name)
    ]
    if held.placer == wanted.placer and held.placer_options != wanted.placer_options:
        unequal.append(f"pool.{held.placer}")
    return unequal


def _as_in_yaml(value: str | bool | float | None) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


_SETTINGS = (
    ("pool", "transport"),
    ("pool", "placer"),
    ("pool", "listen"),
    ("pool", "ports"),
    ("pool", "orphan_seconds"),
    ("pool", "load_in_parallel"),
    ("scheduler", "job_timeout_seconds"),
    ("scheduler", "load_timeout_seconds"),
)


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


def usable(worker: m.WorkerStatus, specs: Mapping[m.Role, m.ModelSpec], commands: Commands) -> bool:
    """Whether the worker has the run's model loaded, in the right Python, and can work."""
    state = worker.state
    ready = worker.alive and worker.endpoint is not None and state is not None and state.phase == "ready"
    if not ready or state is None or state.model is None or state.stale:
        return False
    return state.model.spec == specs.get(worker.role) and same_python(worker.command, commands[worker.role])


def has_ended(incarnation: str, worker: m.WorkerStatus) -> bool:
    """Whether this life of the worker is over, as its launcher reports.

    Over TCP, one that its launcher does not hear has no exit code: it may live, and then the run hears it by itself.
    """
    return worker.incarnation != incarnation or (not worker.alive and worker.exit_code is not None)


def in_the_way(worker: m.WorkerStatus, status: m.PoolStatus, specs: Mapping[m.Role, m.ModelSpec]) -> bool:
    """Whether the worker's role has nothing to do in this run, but its model may hold a GPU that the run needs."""
    state = worker.state
    loaded = worker.alive and worker.endpoint is not None and state is not None and state.phase == "ready"
    if not loaded or worker.role in specs:
        return False
    return any(other.role in specs and share_a_gpu(other.device, worker.device) for other in status.workers)


def devices(status: m.PoolStatus) -> dict[m.Role, tuple[str, ...]]:
    """The devices of the pool's editors and rewards."""
    editors = tuple(worker.device for worker in status.workers if worker.role == "editor")
    return {"editor": editors, "reward": tuple(worker.device for worker in status.workers if worker.role == "reward")}


def same_devices(present: Sequence[str], asked: Sequence[str]) -> bool:
    """Whether workers are on the devices that a config asks for; those elsewhere count by their kind."""
    if tuple(present) == tuple(asked):
        return True
    elsewhere = not any(device.startswith("cuda") for device in asked) and any(
        ":" in device or device == "gpu" for device in present
    )
    return elsewhere and sorted(map(gpu_count, present)) == sorted(map(gpu_count, asked))


def shares_devices(by_role: Mapping[m.Role, tuple[str, ...]]) -> bool:
    """Whether an editor and a reward share a GPU; each ``cpu`` is a device of its own."""
    return any(share_a_gpu(editor, reward) for editor in by_role["editor"] for reward in by_role["reward"])


def away_from_device(status: m.PoolStatus) -> bool:
    """Whether any loaded model is not on its device."""
    states = [worker.state for worker in status.workers if worker.state is not None]
    return any(state.phase == "ready" and state.residency != "device" for state in states)


def _difference(held: m.ModelSpec, wanted: m.ModelSpec) -> str:
    """Each parameter that differs: ``model_name from 'a' to 'b'``."""
    first, second = to_builtins(held), to_builtins(wanted)
    pairs = [("model_name" if key == "name" else key, first[key], second[key]) for key in first if key != "params"]
    names = sorted(first["params"].keys() | second["params"].keys())
    pairs += [(name, first["params"].get(name), second["params"].get(name)) for name in names]
    return ", ".join(f"{key} from {old!r} to {new!r}" for key, old, new in pairs if old != new)
