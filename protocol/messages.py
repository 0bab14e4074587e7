"""Every message, as a frozen struct that is validated when it is decoded.

A message is a msgpack map with its class name under ``type``. Images never go into the map: a message says in
``image_frames`` how many raw frames follow it, each one image as it was encoded.

Times are seconds since the epoch, sizes are bytes. ``run`` is the id of a run, ``job`` names one piece of device work
of one run (it is opaque to a worker), ``incarnation`` is the life of the worker that is meant or speaks, and ``epoch``
is that of the lease under which the sender acts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Id = Annotated[str, Meta(min_length=1, max_length=1024)]
Text = Annotated[str, Meta(max_length=4_000_000)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

Role = Literal["editor", "reward"]
Residency = Literal["device", "host", "disk"]
Phase = Literal["starting", "waiting", "loading", "ready", "failed"]
LeaseMode = Literal["shared", "exclusive"]
Stage = Literal["load", "edit", "score"]
Method = Literal["json", "marked", "logits", "simulated"]
ThumbnailOf = Literal["edit", "source"]

MAX_BATCH = 256

THUMBNAIL_SIDE = 384
"""The most pixels that a thumbnail is wide or high."""

THUMBNAIL_QUALITY = 80
"""Of a thumbnail, as JPEG counts it."""

MAX_THUMBNAIL_BYTES = 512 * 2**10
"""More than any picture of that size and quality takes."""


class ModelSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker is to load: all that decides which weights end up where, and nothing that a single run decides."""

    role: Role
    type: Annotated[str, Meta(max_length=100)] | None = None
    class_path: Annotated[str, Meta(max_length=500)] | None = None
    name: Annotated[str, Meta(max_length=4096)] | None = None
    params: dict[str, Any] = {}


class LoadedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker has loaded. ``fingerprint`` covers the weights and all load parameters that can change a result."""

    spec: ModelSpec
    fingerprint: Sha256
    size_bytes: Count
    load_seconds: Seconds
    versions: dict[str, str] = {}


class WorkerState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker at this moment.

    ``progress`` grows with every step of device work and never falls. ``stale``: the files that the model was loaded
    from are no longer what they were.
    """

    phase: Phase
    residency: Residency = "disk"
    model: LoadedModel | None = None
    error: Text | None = None
    stale: bool = False
    running: Id | None = None
    step: Count = 0
    steps: Count = 0
    progress: Count = 0
    done: Count = 0
    epoch: Count = 0
    runs: Count = 0


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True, tag_field="type"):
    """The base of all messages."""

    @property
    def image_frames(self) -> int:
        """How many raw image frames follow the map."""
        return 0


class RunMessage(Message, frozen=True, kw_only=True):
    """A message between one run and one life of one worker."""

    run: Id
    incarnation: Id


# -- handshake and liveness ------------------------------------------------------------------------------------------


class Hello(Message, frozen=True, kw_only=True):
    """A client's first message to a worker or launcher; it may come again, and is answered the same way each time.

    Both sides send a heartbeat every ``heartbeat_seconds``; a run that was not heard for ``dead_after_seconds`` is
    dropped and has to say Hello again.
    """

    run: Id
    incarnation: Id
    protocol_version: Count
    version: Annotated[str, Meta(max_length=100)]
    heartbeat_seconds: Annotated[float, Meta(gt=0, le=86400)] = 1.0
    dead_after_seconds: Annotated[float, Meta(gt=0, le=86400)] = 10.0
    fingerprint: Sha256 | None = None


class Welcome(RunMessage, frozen=True, kw_only=True):
    """A worker's answer to ``Hello``: who it is, and which jobs of this run it still has, by where they are."""

    worker_id: Id
    role: Role
    device: Id
    protocol_version: Count
    version: Annotated[str, Meta(max_length=100)]
    state: WorkerState
    queued: list[Id] = []
    running: list[Id] = []
    unacknowledged: list[Id] = []


RefusalKind = Literal["protocol_version", "incarnation", "fingerprint", "epoch", "unknown_run", "not_ready", "invalid"]


class Refused(RunMessage, frozen=True, kw_only=True):
    """What was asked is not done, and why. ``job`` is set where one job was refused."""

    kind: RefusalKind
    message: Text
    job: Id | None = None


class Heartbeat(RunMessage, frozen=True, kw_only=True):
    """ "I live", both ways. A worker adds how it stands."""

    state: WorkerState | None = None


class Goodbye(RunMessage, frozen=True, kw_only=True):
    """The run leaves the worker or the pool, or a worker ends."""

    reason: Text = ""


# -- editing ---------------------------------------------------------------------------------------------------------


class Edit(RunMessage, frozen=True, kw_only=True):
    """One edit; the source image follows. With a ``round``, it starts only once that round is released."""

    epoch: Count
    job: Id
    key: Id
    round: Count | None
    instruction: Text
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    parameters: dict[str, Any]

    @property
    def image_frames(self) -> int:
        return 1


class AtBarrier(RunMessage, frozen=True, kw_only=True):
    """The device is done with this job. Sent at once, before the image is encoded; the result follows."""

    job: Id
    round: Count | None
    started: Seconds
    finished: Seconds


class Release(RunMessage, frozen=True, kw_only=True):
    """Jobs of this round and earlier ones may start. Saying it twice changes nothing."""

    round: Count


class CodecSpan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job's images in one of the worker's codec threads (counted from 0), which decoded or encoded them."""

    what: Literal["decode", "encode"]
    thread: Count
    started: Seconds
    finished: Seconds


class Edited(RunMessage, frozen=True, kw_only=True):
    """The edit as PNG in the frame that follows; ``sha256`` is of that frame. Behind it come small JPEGs of what
    ``thumbnails`` names, in that order: those that could be made.
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


# -- scoring ---------------------------------------------------------------------------------------------------------


class Prompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the reward is asked about one edit. ``aspect`` is empty where a pair has one prompt alone."""

    aspect: Annotated[str, Meta(max_length=200)] = ""
    system: Text
    user: Text


class ScoreItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edit of a batch: its image follows, and behind it the source if ``with_source``."""

    item: Id
    key: Id
    prompts: Annotated[list[Prompt], Meta(min_length=1, max_length=32)]
    with_source: bool


class Score(RunMessage, frozen=True, kw_only=True):
    """A batch to be scored together."""

    epoch: Count
    job: Id
    items: Annotated[list[ScoreItem], Meta(min_length=1, max_length=MAX_BATCH)]
    parameters: dict[str, Any]

    @property
    def image_frames(self) -> int:
        return sum(2 if item.with_source else 1 for item in self.items)


class Judgement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reward's answer to one prompt: a score with the method that read it, or the reason why there is none."""

    aspect: Annotated[str, Meta(max_length=200)] = ""
    score: float | None = None
    method: Method | None = None
    response: Text | None = None
    kind: Annotated[str, Meta(max_length=100)] | None = None
    message: Text | None = None


class ScoredItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All judgements of one item, in the order of its prompts."""

    item: Id
    judgements: Annotated[list[Judgement], Meta(min_length=1, max_length=32)]


class Scored(RunMessage, frozen=True, kw_only=True):
    """The judgements of a whole batch. ``batch_sizes`` are the sizes that the device really worked with."""

    job: Id
    started: Seconds
    finished: Seconds
    items: Annotated[list[ScoredItem], Meta(max_length=MAX_BATCH)]
    batch_sizes: list[Count] = []
    codecs: Annotated[list[CodecSpan], Meta(max_length=8)] = []


# -- both ------------------------------------------------------------------------------------------------------------


class Failed(RunMessage, frozen=True, kw_only=True):
    """The job ended without a result. ``started`` is null where the device never began."""

    job: Id
    stage: Stage
    kind: Annotated[str, Meta(max_length=100)]
    message: Text
    started: Seconds | None = None
    finished: Seconds | None = None


class Ack(RunMessage, frozen=True, kw_only=True):
    """The result of this job is safe; the worker may forget it."""

    job: Id


class Cancel(RunMessage, frozen=True, kw_only=True):
    """Drop these jobs, or all of the run's, where they have not begun."""

    jobs: list[Id] | None = None


class Load(RunMessage, frozen=True, kw_only=True):
    """Load this model in place of whatever is there; states follow as heartbeats."""

    epoch: Count
    spec: ModelSpec
    residency: Residency
    serial: bool = True
    job_timeout_seconds: Annotated[float, Meta(gt=0, le=86400)] = 600.0
    load_timeout_seconds: Annotated[float, Meta(gt=0, le=86400)] = 1800.0


class Place(RunMessage, frozen=True, kw_only=True):
    """Move the model's weights there."""

    epoch: Count
    residency: Residency


class Placed(RunMessage, frozen=True, kw_only=True):
    """The weights are there now, or ``error`` says why not."""

    epoch: Count
    residency: Residency
    seconds: Seconds
    error: Text | None = None


# -- the launcher ----------------------------------------------------------------------------------------------------


class Lease(RunMessage, frozen=True, kw_only=True):
    """A run asks for the pool: shared if it leaves models where they are, exclusive if it moves or loads any.

    With ``keep_warm`` the pool stays when its last run has left.
    """

    mode: LeaseMode
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    pid_create_time: Seconds
    keep_warm: bool = False


class Granted(RunMessage, frozen=True, kw_only=True):
    """The lease is the run's from now on, until its ``Goodbye`` or its death."""

    epoch: Count
    mode: LeaseMode


class Waiting(RunMessage, frozen=True, kw_only=True):
    """The lease is not to be had yet: these runs hold it."""

    holders: list[Id]


class Reload(RunMessage, frozen=True, kw_only=True):
    """The model that these workers are to hold from now on, also after a restart."""

    epoch: Count
    worker_ids: list[Id]
    spec: ModelSpec


class Status(RunMessage, frozen=True, kw_only=True):
    """Asks the launcher how the pool stands."""


class WorkerStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One worker as its launcher sees it. ``spec`` is what it holds or is about to load."""

    worker_id: Id
    role: Role
    device: Id
    pid: Count
    alive: bool
    spec: ModelSpec
    incarnation: Id
    endpoint: Annotated[str, Meta(max_length=4096)] | None = None
    exit_code: int | None = None
    gave_up: bool = False
    log: Annotated[str, Meta(max_length=4096)]
    started: Seconds
    state: WorkerState | None = None


class PoolStatus(RunMessage, frozen=True, kw_only=True):
    """The launcher's answer to ``Status``, and its news. ``keep``: the pool stays when its last run has left."""

    workers: list[WorkerStatus]
    holders: list[Id]
    waiting: list[Id]
    keep: bool
    stopping: bool


class Stop(RunMessage, frozen=True, kw_only=True):
    """End the pool: after what runs now, or at once."""

    now: bool = False


AnyMessage = (
    Hello | Welcome | Refused | Heartbeat | Goodbye
    | Edit | AtBarrier | Release | Edited
    | Score | Scored
    | Failed | Ack | Cancel | Load | Place | Placed
    | Lease | Granted | Waiting | Reload | Status | PoolStatus | Stop
)  # fmt: skip
