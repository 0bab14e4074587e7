"""What a run asks of its pool, and the errors that end it there."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from protocol import messages as m


class AbortedError(Exception):
    """The run cannot go on; what it has done is in the ledger."""


class EditorNotLoadedError(AbortedError):
    """No editor of the pool could load the run's model."""


class PoolEndedError(AbortedError):
    """The pool ends, or has ended; a run that has not begun may use another pool."""


class RunSettings(Struct, frozen=True):
    """Times in seconds; ``max_failures`` counts pairs, None is no limit.

    ``devices`` and ``swap`` are what the config asks for; a pool that is up may have other devices, which then decide
    on ``swap`` if ``swap_if_shared``. ``devices``, ``specs`` and ``commands`` (which run Python in the workers'
    environments) have only the roles that the run needs.
    """

    run: str
    swap: bool
    swap_if_shared: bool
    devices: Mapping[m.Role, tuple[str, ...]]
    keep_warm: bool
    heartbeat_seconds: float
    dead_after_seconds: float
    orphan_seconds: float
    max_failures: int | None
    specs: Mapping[m.Role, m.ModelSpec]
    commands: Mapping[m.Role, list[str]]
