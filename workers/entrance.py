"""How a worker's process and its launcher find each other: over a Unix socket on one machine, else over TCP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from protocol.keys import KeyPair
from protocol.plan import WorkerPlan
from workers.spawn import local_device

_UNANSWERED_SECONDS = 120.0
"""How long a worker that a placer has started asks in vain to join: an engine may start it long after its launcher."""


class Entrance(ABC):
    """Over TCP, ``pair`` are the launcher's own keys, and ``allowed`` the public keys of runs."""

    pair: KeyPair | None
    allowed: list[str]

    @abstractmethod
    def arguments(self, plan: WorkerPlan, incarnation: str) -> list[str]:
        """Return what follows Python on the command line of the worker's process."""


@dataclass
class LocalEntrance(Entrance):
    """The life socket of a launcher on this machine."""

    folder: Path
    life_socket: Path
    pair: None = None
    allowed: list[str] = field(default_factory=list)

    def arguments(self, plan: WorkerPlan, incarnation: str) -> list[str]:
        options = {
            "--worker-id": plan.worker_id,
            "--role": plan.role,
            "--device": plan.device,
            "--local-device": local_device(plan.device),
            "--incarnation": incarnation,
            "--folder": str(self.folder),
            "--life-socket": str(self.life_socket),
        }
        return ["-m", "workers", "worker", *(part for pair in options.items() for part in pair)]


@dataclass
class RemoteEntrance(Entrance):
    """The launcher's socket over TCP: ``endpoint`` is its address as workers see it."""

    endpoint: str
    key_file: Path
    pair: KeyPair
    ports: str | None
    allowed: list[str] = field(default_factory=list)

    def arguments(self, plan: WorkerPlan, incarnation: str) -> list[str]:
        options = {
            "--key": str(self.key_file),
            "--role": plan.role,
            "--worker-id": plan.worker_id,
            "--incarnation": incarnation,
            "--device": local_device(plan.device),
            "--give-up-after": f"{_UNANSWERED_SECONDS:g}",
        }
        if self.ports is not None:
            options["--ports"] = self.ports
        return ["-m", "workers", "join", self.endpoint, *(part for pair in options.items() for part in pair)]
