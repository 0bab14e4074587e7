"""How a run stands at one moment, as data: all that the live screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WorkerActivity = Literal[
    "starting",
    "loading",
    "ready",
    "moving",
    "idle",
    "decoding",
    "editing",
    "at barrier",
    "scoring",
    "silent",
    "restarting",
    "failed",
    "dead",
]  # fmt: skip
"""``ready``: it has loaded its model, and is not in use yet; ``decoding``: it has a pair, and its device has not begun
with it; ``silent``: not heard for too long; ``failed``: its model could not be loaded; ``dead``: for good.
"""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker. ``work`` is the pair or batch that it is at; ``steps`` is 0 where its device tells of none;
    ``seconds`` it is in this state, and at this work, by now.
    """

    name: str
    device: str
    state: WorkerActivity
    work: str = ""
    step: int = 0
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage's bar, and what is said beside it."""

    name: str
    done: int
    total: int
    facts: Sequence[str]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class MeanView:
    """The mean of the ``count`` scores that a category has so far."""

    category: str
    count: int
    mean: float


@dataclass(frozen=True, slots=True)
class RunView:
    """The run beside its stages. ``phase`` is what it does, where it is neither editing nor scoring; ``at_barrier``
    of ``editors`` wait for the others (``editors`` is 0 where there are no rounds).
    """

    workers: Sequence[WorkerView] = ()
    phase: str = ""
    at_barrier: int = 0
    editors: int = 0
    failures: int = 0
    last_failure: str = ""
    means: Sequence[MeanView] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it."""

    stages: Sequence[StageView] = ()
    run: RunView = RunView()


def place_of(worker: str) -> tuple[str, int]:
    """What workers are sorted by: editors before rewards, and ``editor-10`` behind ``editor-9``."""
    role, _, number = worker.rpartition("-")
    return role, int(number) if number.isdecimal() else 0
