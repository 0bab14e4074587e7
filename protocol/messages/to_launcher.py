"""Messages that a launcher receives."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from protocol.messages.parts import Count, Id, LeaseMode, ModelSpec, RunMessage, Seconds


class Lease(RunMessage, frozen=True, kw_only=True):
    """A run asks for the lease: shared if it leaves models where they are, exclusive if it moves or loads any.

    With ``keep_warm`` the pool stays up when its last run has left.
    """

    mode: LeaseMode
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    pid_create_time: Seconds
    keep_warm: bool = False


class Reload(RunMessage, frozen=True, kw_only=True):
    """Have these workers load this model, now and after each restart. With ``command`` (see ``WorkerPlan``) they are
    started anew with it.
    """

    epoch: Count
    worker_ids: list[Id]
    spec: ModelSpec
    command: Annotated[list[str], Meta(min_length=1)] | None = None


class Status(RunMessage, frozen=True, kw_only=True):
    """Ask the launcher for the pool's status."""


class Stop(RunMessage, frozen=True, kw_only=True):
    """End the pool: after the running jobs, or at once."""

    now: bool = False
