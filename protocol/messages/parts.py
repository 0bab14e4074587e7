"""What several messages are made of: kinds of value, models, states, and the base of all messages.

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
RefusalKind = Literal["protocol_version", "incarnation", "fingerprint", "epoch", "unknown_run", "not_ready", "invalid"]


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
