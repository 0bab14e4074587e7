"""What a pool asks of Ray: the keys of its section, and what they mean for an actor and for the cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from protocol.devices import gpu_count
from protocol.plan import PoolPlan, WorkerPlan
from workers.models.declaration import Conflict, Key
from workers.placers.declaration import Order
from workers.placers.ray_messages import Connect, Place
from workers.spawn import variables

_MOST = 1e6


_WITH_KEYS = {"GPU": "gpus", "CPU": "cpus"}


def _resource_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    for name, number in (values.get("resources") or {}).items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= _MOST:
            message = f"{name} must be a number above 0, found {number!r:.50}"
            yield Conflict((("resources",),), message)
        elif name in _WITH_KEYS:
            yield Conflict((("resources",),), f"{name} has a key of its own", f"write `{_WITH_KEYS[name]}: {number:g}`")
        elif _is_broken(number):
            yield Conflict((("resources",),), f"{name} above 1 must be a whole number, found {number:g}")
    for key in _WITH_KEYS.values():
        if _is_broken(values.get(key)):
            yield Conflict(((key,),), f"above 1 must be a whole number, found {values[key]:g}", "as Ray has it")


def _is_broken(number: float | None) -> bool:
    return number is not None and number > 1 and number != int(number)


_OF_A_WORKER = (
    Key(
        "gpus",
        "float",
        None,
        "GPUs that it takes. Left out: `gpus_per_worker`, or 0 with `device: cpu`.",
        "process",
        low=0,
        high=1024,
    ),
    Key("cpus", "float", 1.0, "CPUs that it takes.", "process", low=0, high=1024),
    Key("resources", "mapping", None, "Further resources of Ray that it takes, such as `{A100: 1}`.", "process"),
    Key(
        "python",
        "text",
        None,
        "Its Python on the nodes. Left out: that of the model's section, else the one that runs warmbench here.",
        "process",
        pattern="^/.{1,4000}$",
    ),
)
KEYS = (
    Key(
        "address",
        "text",
        None,
        "The cluster: `auto` (the one that this machine is in), `HOST:6379`, or `ray://HOST:10001`. Left out: one on "
        "this machine, which ends with the pool.",
        "process",
        low=1,
        high=1000,
    ),
    Key(
        "namespace",
        "text",
        None,
        "The namespace of the actors. In it, their names begin with the pool's. Left out: one of the pool's "
        "own, `warmbench-` and its name and a number.",
        "process",
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$",
    ),
    Key(
        "editor", "mapping", None, "What each editor takes.", "process", keys=_OF_A_WORKER, rules=(_resource_conflicts,)
    ),
    Key(
        "reward", "mapping", None, "What each reward takes.", "process", keys=_OF_A_WORKER, rules=(_resource_conflicts,)
    ),
    Key(
        "key_file_on_nodes",
        "text",
        None,
        "Where the key file of workers lies on the nodes. In a folder that this machine has too, it is made if it is "
        "missing. Left out: the pool's own, which other machines see if `WARMBENCH_HOME` is on a shared disk.",
        "process",
        pattern="^[/~].{1,4000}$",
    ),
)


def placement(plan: PoolPlan, order: Order, key_file: str) -> Place:
    """Return what an actor runs, and what it takes of the cluster."""
    worker = order.plan
    python = _option(plan, worker, "python", None)
    arguments = list(order.arguments)
    at = arguments.index("--key")  # the actor adds it, as the node sees it
    del arguments[at : at + 2]
    return Place(
        worker_id=worker.worker_id,
        incarnation=order.incarnation,
        command=[*([python] if python else worker.command), *arguments],
        key_file=key_file,
        environment=variables(worker.spec),
        cpus=_cpus(plan, worker),
        gpus=float(_option(plan, worker, "gpus", gpu_count(worker.device))),
        resources={name: float(number) for name, number in _option(plan, worker, "resources", {}).items()},
    )


def connection(plan: PoolPlan, public_key: str) -> Connect:
    """Return which cluster a pool uses. One of its own has CPUs for all workers.

    The launcher's ``public_key`` tells the pool from others of its name, which share the cluster.
    """
    options = plan.placer_options
    pool = f"{plan.name}-{hashlib.sha256(public_key.encode()).hexdigest()[:8]}"
    return Connect(
        address=options.get("address"),
        namespace=options.get("namespace") or f"warmbench-{pool}",
        prefix=f"{pool}." if options.get("namespace") else "",
        cpus=sum(_cpus(plan, worker) for worker in plan.workers),
    )


def _cpus(plan: PoolPlan, worker: WorkerPlan) -> float:
    return float(_option(plan, worker, "cpus", 1))


def _option(plan: PoolPlan, worker: WorkerPlan, key: str, default: Any) -> Any:
    """The value that a key has for workers of this role."""
    value = (plan.placer_options.get(worker.role) or {}).get(key)
    return default if value is None else value
