"""What a run asks of its pool, and how it ends where the pool cannot serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol import messages as m
from scheduler.base.stages import Stage


class AbortedError(Exception):
    """The run can't go on; what it has done is in the ledger."""


class PoolEndedError(AbortedError):
    """The pool ends, or has ended; a run that has not begun may take another."""


@dataclass(frozen=True)
class RunSettings:
    """How the loop runs. Seconds; ``max_failures`` counts pairs, None is no limit.

    ``devices`` and ``swap`` are what the config asks for; a pool that is up may have other devices, which then decide
    on ``swap`` if ``swap_if_shared``. ``devices`` and ``specs`` are of the roles that the ``stages`` need.
    """

    run: str
    stages: Sequence[Stage]
    swap: bool
    swap_if_shared: bool
    devices: Mapping[m.Role, tuple[str, ...]]
    keep_warm: bool
    heartbeat_seconds: float
    dead_after_seconds: float
    max_failures: int | None
    specs: Mapping[m.Role, m.ModelSpec]
