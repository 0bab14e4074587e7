"""What a placer is, and the table of placers.

A placer starts the command of a worker somewhere and watches the process; it never restarts one, which is the
launcher's task. Its methods are called in the launcher's loop and must not block: what takes long runs in a thread.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.plan import PoolPlan, WorkerPlan
from workers.models.declaration import Key, Rule
from workers.models.plugins import Registry


class PlacementError(Exception):
    """A worker cannot be started; the message says why, and what to do."""


@dataclass(frozen=True)
class Order:
    """One process to start: ``arguments`` follow the worker's ``plan.command``, as in ``python -m workers ...``.

    ``log`` is where its output goes, if that can be had on this machine.
    """

    plan: WorkerPlan
    incarnation: str
    arguments: Sequence[str]
    log: Path


def duration(seconds: float) -> str:
    """A time in words, so coarse that it does not change each second for long."""
    if seconds < 120:
        return f"{int(seconds) // 5 * 5} s"
    return f"{int(seconds) // 60} min" if seconds < 7200 else f"{int(seconds) // 3600} h"


class Placed(abc.ABC):
    """One process that a placer was asked to start. Nothing here raises: who watches it sees it end."""

    @property
    def pid(self) -> int:
        """Its id on this machine; 0 if it is elsewhere or does not run yet."""
        return 0

    @property
    def descriptor(self) -> int | None:
        """A descriptor that becomes readable when it ends; None if it has to be asked."""
        return None

    @property
    def waits_for(self) -> str | None:
        """What its engine waits for to start it, and for how long; None if it runs or has ended."""
        return None

    @abc.abstractmethod
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs or waits. 1 if it ended in an unknown way."""

    @property
    def log(self) -> str | None:
        """Where its output goes, if that is not the order's ``log``."""
        return None

    @property
    def reason(self) -> str | None:
        """Why it ended or could not be started, as its engine says; None if it says nothing."""
        return None

    @abc.abstractmethod
    def end(self) -> None:
        """Have it end: SIGTERM, or what the engine has for it."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End it at once, with all that it has started."""

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what watching it took. It may still run."""


class Placer(abc.ABC):
    """One pool's placer. ``elsewhere`` is what its type declares; ``starts``: it starts processes."""

    elsewhere = True
    starts = True

    def __init__(self, plan: PoolPlan, folder: Path) -> None:
        """``folder`` is the pool's. Raises ``PlacementError``."""
        self.plan = plan
        self.folder = folder

    @abc.abstractmethod
    def start(self, order: Order) -> Placed | None:
        """Start a process; None if somebody else starts workers. Raises ``PlacementError``."""

    def adopt(self, worker_id: str, incarnation: str) -> Placed | None:  # noqa: ARG002 - most cannot
        """Return the process that the placer of an earlier launcher has started; None if it can't be watched."""
        return None

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """The pool ends, and all of its processes have ended."""


@dataclass(frozen=True, eq=False)
class PlacerType:
    """What a placer declares.

    ``target`` is its class, as ``module:Class``. ``keys`` are those of its section under ``pool``, named as itself, and
    ``rules`` say which values do not go together.
    ``elsewhere``: workers may be on other machines, so they join over TCP. ``packages`` are those that the launcher's
    environment must have, each with the oldest version that works, or ``""``.
    """

    name: str
    meaning: str
    target: str
    keys: tuple[Key, ...] = ()
    rules: tuple[Rule, ...] = ()
    elsewhere: bool = True
    packages: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


PLACERS = Registry(
    "warmbench.placers",
    PlacerType,
    {
        "local": "workers.placers.local:DECLARATION",
        "ray": "workers.placers.ray:DECLARATION",
        "join": "workers.placers.join:DECLARATION",
        "slurm": "workers.placers.slurm:DECLARATION",
    },
)


def make_placer(plan: PoolPlan, folder: Path) -> Placer:
    """Make the plan's placer. Raises ``PlacementError``."""
    import importlib

    from workers.models.plugins import PluginError

    try:
        declared = PLACERS.get(plan.placer)
        module, _, name = declared.target.partition(":")
        placer: Any = getattr(importlib.import_module(module), name)
    except KeyError:
        raise PlacementError(f"there is no placer {plan.placer!r}; known: {', '.join(PLACERS.names())}") from None
    except (PluginError, ImportError, AttributeError) as error:
        raise PlacementError(f"the placer {plan.placer} cannot be used: {error}") from error
    made: Placer = placer(plan, folder)
    made.elsewhere = declared.elsewhere
    return made
