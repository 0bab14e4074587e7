"""The plan of a pool, which a scheduler (or a user's command) gives to the launcher."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from protocol.messages import Id, ModelSpec, Residency, Role

MAX_THREADS = 1024
MAX_WORKERS = 1024

EXIT_TAKEN = 75
"""The exit code of a launcher if its pool is already up (EX_TEMPFAIL of sysexits.h)."""

ENVIRONMENT_BEFORE = "WARMBENCH_ENVIRONMENT_BEFORE"
"""The variable in which a worker finds, as JSON, what its launcher had in the variables that are set for workers; null
where there was none. Programs that the worker starts get these back.
"""

WorkerId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]
"""It is part of file names: a worker's card, socket and log."""

Positive = Annotated[float, Meta(gt=0, le=86400)]


def threads(spec: ModelSpec) -> int:
    """How many CPU threads a worker with this model has."""
    number = spec.params.get("threads_per_worker", 1)
    return number if isinstance(number, int) and 1 <= number <= MAX_THREADS else 1


def port_range(text: str) -> tuple[int, int]:
    """Read ``5600-5700``, or one port. Raises ``ValueError``."""
    first, _, last = text.partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        low, high = 0, 0
    if not 1 <= low <= high <= 65535:
        raise ValueError(f"{text} is no range of ports, such as 5600-5700")
    return low, high


class WorkerPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One worker. ``device`` is ``cuda:N`` (N counts the visible GPUs), ``cuda:0+1`` or ``cpu``; elsewhere, ``gpu``,
    ``gpu:2`` or ``cpu``.

    ``command`` runs Python in the worker's environment: ``[sys.executable]``, or ``conda run`` for another one.
    """

    worker_id: WorkerId
    role: Role
    device: Id
    spec: ModelSpec
    residency: Residency
    command: Annotated[list[str], Meta(min_length=1)]


class PoolSettings(Struct, frozen=True, kw_only=True):
    """What holds for a pool from its launch to its end, for every run that uses it.

    Over TCP, the launcher listens on the address ``listen`` (without one, on loopback), and all sockets take ports of
    the range ``ports``. ``placer_options`` are the keys of the placer's section.
    """

    transport: Literal["ipc", "tcp"] = "ipc"
    placer: Annotated[str, Meta(max_length=100)] = "local"
    listen: str | None = None
    ports: str | None = None
    orphan_seconds: Annotated[float, Meta(ge=0, le=86400)] = 300.0
    placer_options: dict[str, Any] = {}
    load_in_parallel: bool = False
    job_timeout_seconds: Positive = 600.0
    load_timeout_seconds: Positive = 1800.0


class PoolPlan(PoolSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole pool. ``keep``: it stays up when the last run has left."""

    name: Id
    workers: Annotated[list[WorkerPlan], Meta(min_length=1, max_length=MAX_WORKERS)]
    keep: bool = False
    heartbeat_seconds: Positive = 1.0
    dead_after_seconds: Positive = 10.0

    @property
    def settings(self) -> PoolSettings:
        """The part that a run compares with its own config."""
        return PoolSettings(**{name: getattr(self, name) for name in PoolSettings.__struct_fields__})
