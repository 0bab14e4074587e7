"""What the placer ``ray`` and the process that talks to Ray tell each other: a line of JSON each."""

from __future__ import annotations

from msgspec import Struct


class Connect(Struct, frozen=True, kw_only=True, tag=True):
    """The first line. Without an ``address``, a cluster is started on this machine, with at least so many ``cpus``.

    The name of an actor is ``prefix`` and its worker's, and no other pool has such a name in the ``namespace``.
    """

    address: str | None
    namespace: str
    prefix: str
    cpus: float


class Place(Struct, frozen=True, kw_only=True, tag=True):
    """Have an actor run ``command``. ``started``: it was said to run before, so it is only looked for."""

    worker_id: str
    incarnation: str
    command: list[str]
    key_file: str
    environment: dict[str, str]
    cpus: float
    gpus: float
    resources: dict[str, float]
    started: bool = False


class Signal(Struct, frozen=True, kw_only=True, tag=True):
    """Send this signal to the process and all that it has started."""

    incarnation: str
    number: int


class Close(Struct, frozen=True, tag=True):
    """End all that is left, and end."""


class Leave(Struct, frozen=True, tag=True):
    """End; what runs goes on, and what does not run yet is withdrawn."""


class Connected(Struct, frozen=True, tag=True):
    """The Ray cluster is reached."""

    cluster: str


class Unreachable(Struct, frozen=True, tag=True):
    """It is not; the process ends."""

    reason: str


class Waits(Struct, frozen=True, kw_only=True, tag=True):
    """Ray has not started the actor yet."""

    incarnation: str
    text: str


class Started(Struct, frozen=True, kw_only=True, tag=True):
    """The worker's process runs."""

    incarnation: str
    host: str
    pid: int
    log: str


class Ended(Struct, frozen=True, kw_only=True, tag=True):
    """The worker's process has ended, or cannot be started or watched any more."""

    incarnation: str
    code: int
    reason: str | None = None


Request = Connect | Place | Signal | Close | Leave
Report = Connected | Unreachable | Waits | Started | Ended
