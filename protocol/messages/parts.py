"""Parts that several messages share: types of values, models, states, and the base class of all messages.

Times are seconds since the epoch, sizes are bytes. ``run`` is the id of a run. ``job`` names one piece of device work
of a run, and is opaque to a worker. ``incarnation`` names one process of a worker, from its start to its death: the
receiver or the sender. ``epoch`` is the epoch of the lease under which the sender acts.
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
Phase = Literal["starting", "downloading", "converting", "waiting", "loading", "ready", "failed"]
LeaseMode = Literal["shared", "exclusive"]
Stage = Literal["load", "edit", "score"]
Method = Literal["json", "marked", "logits", "simulated", "protocol"]
ThumbnailOf = Literal["edit", "source"]
MAX_BATCH = 256
LAUNCHER = "launcher"
"""The run id of a pool's launcher, as its workers know it. It never has jobs."""
THUMBNAIL_SIDE = 384
"""The longest side of a thumbnail, in pixels."""
THUMBNAIL_QUALITY = 80
"""The JPEG quality of a thumbnail."""
MAX_THUMBNAIL_BYTES = 512 * 2**10
"""More than any image of that size and quality takes."""
HOPELESS = frozenset({"unauthorized", "no_credit", "unknown_model", "bad_parameter", "not_accepted"})
"""A job that failed with one of these kinds failed as every other of its run would."""
RefusalKind = Literal["protocol_version", "incarnation", "fingerprint", "epoch", "unknown_run", "not_ready", "invalid"]


class ModelSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker loads: everything that decides which weights are where, and nothing that a single run decides."""

    role: Role
    type: Annotated[str, Meta(max_length=100)] | None = None
    class_path: Annotated[str, Meta(max_length=500)] | None = None
    name: Annotated[str, Meta(max_length=4096)] | None = None
    params: dict[str, Any] = {}


class LoadedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker's loaded model. ``fingerprint`` covers the weights and all load parameters that can change a result.

    ``host_bytes`` is how much of ``size_bytes`` is a copy of this worker when the weights are in host memory; the rest
    is pages of files, which all workers share. ``hashed``: with ``name``, hashes of large files were taken from their
    names in the hub's cache.
    """

    spec: ModelSpec
    fingerprint: Sha256
    size_bytes: Count
    host_bytes: Count = 0
    load_seconds: Seconds
    hashed: Literal["content", "name"] = "content"
    versions: dict[str, str] = {}


class WorkerState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The current state of a worker.

    ``progress`` grows with every step of device work and never falls. ``stale``: the model's files have changed since
    they were loaded.
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
    """A message between one run and one incarnation of a worker."""

    run: Id
    incarnation: Id
