"""All that the live screen shows of a run at one moment, as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

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
"""``ready``: its model is loaded and not in use yet; ``decoding``: it has a pair that its device has not begun;
``silent``: not heard for too long; ``failed``: its model could not be loaded; ``dead``: for good.
"""


class WorkerView(Struct, frozen=True):
    """One worker. ``work`` is its pair or batch; ``steps`` is 0 where its device reports none; ``seconds``: how long it
    has been in this state, at this work.
    """

    name: str
    device: str
    state: WorkerActivity
    work: str = ""
    step: int = 0
    steps: int = 0
    seconds: float = 0.0


class StageView(Struct, frozen=True):
    """A stage's bar, and the facts beside it."""

    name: str
    done: int
    total: int
    facts: Sequence[str]
    failed: bool = False


class MeanView(Struct, frozen=True):
    """The mean of a category's ``count`` scores so far."""

    category: str
    count: int
    mean: float


class RunView(Struct, frozen=True):
    """The run without its stages. ``phase``: what it does where it neither edits nor scores. ``at_barrier`` of
    ``editors`` wait for the others (``editors`` is 0 where there are no rounds).
    """

    workers: Sequence[WorkerView] = ()
    phase: str = ""
    at_barrier: int = 0
    editors: int = 0
    failures: int = 0
    last_failure: str = ""
    means: Sequence[MeanView] = ()


class Snapshot(Struct, frozen=True):
    """The whole screen."""

    stages: Sequence[StageView] = ()
    run: RunView = RunView()


def place_of(worker: str) -> tuple[str, int]:
    """The sort key of workers: editors before rewards, and ``editor-10`` after ``editor-9``."""
    role, _, number = worker.rpartition("-")
    return role, int(number) if number.isdecimal() else 0
