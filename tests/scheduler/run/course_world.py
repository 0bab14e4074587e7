"""What a run meets while ``Course`` is driven: its scenario, pools, workers and work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from protocol.messages import Residency, Role
from scheduler.base.stages import ROLES, Stage

WORKERS: tuple[tuple[str, Role], ...] = (
    ("editor-0", "editor"),
    ("editor-1", "editor"),
    ("reward-0", "reward"),
    ("reward-1", "reward"),
)


@dataclass
class Worker:
    """One life of a worker that answers; ``busy``: it has an edit or a score on its device."""

    role: Role
    device: str
    residency: Residency
    moving_to: Residency | None = None
    joined: bool = False
    busy: bool = False


@dataclass
class Work:
    """What a stage has to do: ``waiting`` units, those on devices, those that are done."""

    waiting: int = 0
    busy: int = 0
    done: int = 0
    started: bool = False
    closed: bool = False

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.busy)


class Pool:
    """A pool and the run's stay in it: all that a second pool begins anew."""

    def __init__(self, *, swap: bool, replaceable: bool) -> None:
        self.swap = swap
        self.replaceable = replaceable
        self.leased = False
        self.workers: dict[str, Worker] = {}
        self.known: set[Role] = set()
        self.visited: set[str] = set()
        self.switching = False
        self.drawing_up = False
        self.planned = False
        self.happened: Counter[str] = Counter()
        self.work: dict[Role, Work] = {"editor": Work(), "reward": Work()}


@dataclass(frozen=True)
class Scenario:
    """A run of ``edits`` edits, and ``scores`` that an earlier part left; no worker of a ``missing`` role comes."""

    stages: tuple[Stage, ...]
    resumed: bool
    edits: int
    scores: int
    missing: Role | None
    pools: int

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(ROLES[stage] for stage in self.stages)
