"""Messages that a launcher receives."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from protocol.keys import Key
from protocol.messages.parts import Count, Id, LeaseMode, ModelSpec, Role, RunMessage, Seconds, WorkerState


class Lease(RunMessage, frozen=True, kw_only=True):
    """A run asks for the lease: shared if it leaves models where they are, exclusive if it moves or loads any.

    Without a ``mode`` it gets none, and the pool stays up for its further runs until it leaves. With ``keep_warm`` the
    pool stays up when its last run has left. The lease ends with the process ``pid``; without
    one, as over TCP, when the run's heartbeats stop.
    """

    mode: LeaseMode | None
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    pid_create_time: Seconds | None = None
    keep_warm: bool = False


class Reload(RunMessage, frozen=True, kw_only=True):
    """Have these workers load this model, now and after each restart. With ``command`` (see ``WorkerPlan``) they are
    started anew with it.
    """

    epoch: Count
    worker_ids: list[Id]
    spec: ModelSpec
    command: Annotated[list[str], Meta(min_length=1)] | None = None


class Join(RunMessage, frozen=True, kw_only=True):
    """A worker introduces itself, over TCP, and asks to be part of the pool; it repeats this until it is answered.

    ``run`` names the connection. ``incarnation`` is the worker's: of one that the pool's placer has started it is known
    already, any other gets a place that is free. Its socket is bound at ``endpoint``, whose public key is
    ``server_key``. ``state`` tells whether it has a model, as one that has lost its launcher.
    """

    role: Role
    protocol_version: Count
    version: Annotated[str, Meta(max_length=100)]
    worker_id: Id | None = None
    host: Id
    pid: Count
    device: Id
    endpoint: Annotated[str, Meta(max_length=4096)]
    server_key: Key
    state: WorkerState


class Status(RunMessage, frozen=True, kw_only=True):
    """Ask the launcher for the pool's status."""


class Stop(RunMessage, frozen=True, kw_only=True):
    """End the pool: after the running jobs, or at once."""

    now: bool = False
