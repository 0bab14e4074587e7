"""Messages that a run receives: answers and results of workers, answers and updates of the launcher."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from protocol.keys import Key
from protocol.messages.parts import (
    MAX_BATCH,
    Count,
    Id,
    LeaseMode,
    Method,
    ModelSpec,
    RefusalKind,
    Residency,
    Role,
    RunMessage,
    Seconds,
    Sha256,
    Stage,
    Text,
    ThumbnailOf,
    WorkerState,
)


class Welcome(RunMessage, frozen=True, kw_only=True):
    """A worker's answer to ``Hello``: what it is, and which jobs of this run it has, by state. ``now`` is the time by
    the worker's clock.
    """

    worker_id: Id
    role: Role
    device: Id
    protocol_version: Count
    version: Annotated[str, Meta(max_length=100)]
    state: WorkerState
    now: Seconds = 0.0
    queued: list[Id] = []
    running: list[Id] = []
    unacknowledged: list[Id] = []


class Refused(RunMessage, frozen=True, kw_only=True):
    """A request was refused, and why. ``job`` is set if it was a job."""

    kind: RefusalKind
    message: Text
    job: Id | None = None


class AtBarrier(RunMessage, frozen=True, kw_only=True):
    """The device has finished this job. Sent before the image is encoded; the result follows."""

    job: Id
    round: Count | None
    started: Seconds
    finished: Seconds


class CodecSpan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When one of the worker's codec threads (counted from 0) decoded or encoded a job's images."""

    what: Literal["decode", "encode"]
    thread: Count
    started: Seconds
    finished: Seconds


class Edited(RunMessage, frozen=True, kw_only=True):
    """An edit. Its PNG is the first image frame, of which ``sha256`` is the hash; the other frames are JPEGs of the
    ``thumbnails`` that could be made, in that order.
    """

    job: Id
    started: Seconds
    finished: Seconds
    width: Count
    height: Count
    sha256: Sha256
    thumbnails: Annotated[list[ThumbnailOf], Meta(max_length=2)] = []
    codecs: Annotated[list[CodecSpan], Meta(max_length=8)] = []

    @property
    def image_frames(self) -> int:
        return 1 + len(self.thumbnails)


class Usage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the judgement took of a served judge: requests (failed ones too), tokens, and which model answered."""

    requests: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    model: Annotated[str, Meta(max_length=1000)] | None = None
    system_fingerprint: Annotated[str, Meta(max_length=1000)] | None = None


class Judgement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reward's answer to one prompt: a score with the method that read it, or why there is none (``kind``).

    The answer to a question has no score, only its ``response``, which the run reads.
    """

    aspect: Annotated[str, Meta(max_length=200)] = ""
    score: float | None = None
    method: Method | None = None
    response: Text | None = None
    kind: Annotated[str, Meta(max_length=100)] | None = None
    message: Text | None = None
    usage: Usage | None = None


class ScoredItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All judgements of one item, in the order of its prompts; of a question, the one answer."""

    item: Id
    judgements: Annotated[list[Judgement], Meta(min_length=1, max_length=32)]


class Scored(RunMessage, frozen=True, kw_only=True):
    """The judgements of a whole batch. ``batch_sizes`` are the sizes that the device used."""

    job: Id
    started: Seconds
    finished: Seconds
    items: Annotated[list[ScoredItem], Meta(max_length=MAX_BATCH)]
    batch_sizes: list[Count] = []
    codecs: Annotated[list[CodecSpan], Meta(max_length=8)] = []


class Failed(RunMessage, frozen=True, kw_only=True):
    """The job failed. ``started`` is null if the device never started it."""

    job: Id
    stage: Stage
    kind: Annotated[str, Meta(max_length=100)]
    message: Text
    started: Seconds | None = None
    finished: Seconds | None = None


class Placed(RunMessage, frozen=True, kw_only=True):
    """The weights were moved, or ``error`` says why not."""

    epoch: Count
    residency: Residency
    seconds: Seconds
    error: Text | None = None


class Granted(RunMessage, frozen=True, kw_only=True):
    """The run holds the lease until its ``Goodbye`` or its death."""

    epoch: Count
    mode: LeaseMode


class Waiting(RunMessage, frozen=True, kw_only=True):
    """The run waits for the lease; these runs are before it."""

    holders: list[Id]


class WorkerStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One worker as its launcher sees it. ``spec`` is the model that it has loaded, or is about to load; ``command``
    runs Python in its environment. Over TCP, ``host`` is its machine and ``server_key`` the public key of its socket.
    ``waits_for`` says what its engine waits for to start it.
    """

    worker_id: Id
    role: Role
    device: Id
    pid: Count
    alive: bool
    spec: ModelSpec
    command: list[str] = []
    incarnation: Id
    endpoint: Annotated[str, Meta(max_length=4096)] | None = None
    exit_code: int | None = None
    gave_up: bool = False
    log: Annotated[str, Meta(max_length=4096)]
    started: Seconds
    state: WorkerState | None = None
    host: Id | None = None
    server_key: Key | None = None
    waits_for: Text | None = None


class PoolStatus(RunMessage, frozen=True, kw_only=True):
    """The launcher's answer to ``Status``, and its updates. ``keep``: the pool stays up when its last run has left."""

    workers: list[WorkerStatus]
    holders: list[Id]
    waiting: list[Id]
    keep: bool
    stopping: bool
