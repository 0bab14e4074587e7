"""What the two stages need of the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from protocol import messages as m
from scheduler.pool.worker_client import WorkerClient
from scheduler.store.delivery import LedgerEntry
from scheduler.store.trace import Trace

T = TypeVar("T")


class Services(Protocol):
    """The loop, as its stages see it. All calls and callbacks are in the loop's thread."""

    @property
    def run(self) -> str:
        """The run's id on the wire."""

    @property
    def epoch(self) -> int:
        """The epoch of the run's lease."""

    def worker(self, name: str) -> WorkerClient | None:
        """The worker, if it is alive."""

    @property
    def trace(self) -> Trace | None:
        """The run's timeline, with ``--trace``."""

    def fingerprint(self, role: m.Role) -> str:
        """The fingerprint of the role's model in this run; known once the first worker of the role has joined."""

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run ``function`` in a reader thread, then call ``then`` with its result or exception."""

    def deliver(self, entry: LedgerEntry) -> None:
        """Make this durable."""

    def failure_recorded(self, key: str) -> None:
        """Count a pair of which an edit or a score has failed for good."""

    def abort(self, reason: str) -> None:
        """End the run with this reason; it can be resumed."""
