"""What the parts of a run's loop share: its settings, its end, what the two stages need of it and pass on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from protocol import messages as m
from scheduler.pool.worker_client import WorkerClient
from scheduler.store.delivery import Item
from scheduler.store.trace import Trace

T = TypeVar("T")


class Services(Protocol):
    """The loop, as its stages see it. All of it is called, and calls back, in the loop's thread."""

    @property
    def run(self) -> str:
        """The run's id on the wire."""

    @property
    def epoch(self) -> int:
        """The epoch of the run's lease."""

    def worker(self, name: str) -> WorkerClient | None:
        """The worker, if it lives."""

    @property
    def trace(self) -> Trace | None:
        """The run's timeline, if it was asked for."""

    def fingerprint(self, role: m.Role) -> str:
        """That of the role's model, for the whole run; known since the first of the role has joined."""

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run ``function`` in a thread that may wait for the disk, then ``then`` with its result or what it raised."""

    def deliver(self, item: Item) -> None:
        """Have this made durable."""

    def failure_recorded(self, key: str) -> None:
        """Something of this pair failed for good."""


@dataclass(frozen=True)
class EditedImage:
    """A delivered edit, ready to be scored."""

    path: str
    sha256: str
