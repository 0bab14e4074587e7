"""What is done to a run, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Event = Literal["planned", "edited", "scored"]


@dataclass(frozen=True)
class Moment:
    """``seconds`` after the start of the part."""

    seconds: float


@dataclass(frozen=True)
class Rows:
    """When the ledger has ``count`` more rows of this kind than at the start of the part."""

    event: Event
    count: int


@dataclass(frozen=True)
class There:
    """The process exists; it may not have said anything yet."""

    who: str


@dataclass(frozen=True)
class Said:
    """The scheduler has printed this."""

    text: str


Trigger = Moment | Rows | There | Said


@dataclass(frozen=True)
class Kill:
    """SIGKILL. ``who`` is a worker's id, ``launcher``, ``scheduler``, or ``scheduler-1`` for the second of two."""

    who: str


@dataclass(frozen=True)
class KillNode:
    """The end of a machine.

    One whose worker has joined is ``node-0`` and so on, in the order of ``Plan.nodes``: all of its processes get
    SIGKILL, and its folder is gone. With an engine ``who`` is a worker: Ray loses its node, Slurm ends its job.
    """

    who: str


@dataclass(frozen=True)
class Restart:
    """SIGKILL to the launcher, and the next one is started at once: workers that have joined wait for it."""

    who: str = "launcher"


@dataclass(frozen=True)
class Stall:
    """SIGSTOP, and SIGCONT after so long."""

    who: str
    seconds: float


@dataclass(frozen=True)
class Interrupt:
    """A signal that asks the scheduler to end, once or twice."""

    who: str
    number: int
    times: int


@dataclass(frozen=True)
class Garbage:
    """A stranger sends frames that are no messages."""

    who: str
    seed: int


Deed = Kill | KillNode | Restart | Stall | Interrupt | Garbage


@dataclass(frozen=True)
class Injection:
    """What is done, and when."""

    trigger: Trigger
    deed: Deed


@dataclass(frozen=True)
class Tamper:
    """What happens to the files while nobody runs. ``number`` chooses among the images there are.

    ``cut`` takes the end of the ledger's last line away, ``half`` appends the beginning of another one.
    """

    what: Literal["delete", "overwrite", "cut", "half", "steps", "seed", "editors"]
    number: int = 0


@dataclass(frozen=True)
class Part:
    """A process of the scheduler, from its start to its end, and the faults for it."""

    injections: tuple[Injection, ...] = ()
    before: tuple[Tamper, ...] = ()
