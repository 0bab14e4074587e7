"""All messages, as frozen structs that are validated when decoded; one file per receiver.

A message is a msgpack map with its class name under ``type``. Images are not in the map: ``image_frames`` says how many
raw frames follow it, each an encoded image.
"""

from __future__ import annotations

from protocol.messages.parts import (
    MAX_BATCH,
    MAX_THUMBNAIL_BYTES,
    THUMBNAIL_QUALITY,
    THUMBNAIL_SIDE,
    Count,
    Id,
    LeaseMode,
    LoadedModel,
    Message,
    ModelSpec,
    Phase,
    RefusalKind,
    Residency,
    Role,
    RunMessage,
    Seconds,
    Sha256,
    Stage,
    ThumbnailOf,
    WorkerState,
)
from protocol.messages.to_any import Goodbye, Heartbeat, Hello
from protocol.messages.to_launcher import Lease, Reload, Status, Stop
from protocol.messages.to_run import (
    AtBarrier,
    CodecSpan,
    Edited,
    Failed,
    Granted,
    Judgement,
    Placed,
    PoolStatus,
    Refused,
    Scored,
    ScoredItem,
    Waiting,
    Welcome,
    WorkerStatus,
)
from protocol.messages.to_worker import Ack, Cancel, Edit, Load, Place, Prompt, Release, Score, ScoreItem

__all__ = [
    "MAX_BATCH",
    "MAX_THUMBNAIL_BYTES",
    "THUMBNAIL_QUALITY",
    "THUMBNAIL_SIDE",
    "Ack",
    "AnyMessage",
    "AtBarrier",
    "Cancel",
    "CodecSpan",
    "Count",
    "Edit",
    "Edited",
    "Failed",
    "Goodbye",
    "Granted",
    "Heartbeat",
    "Hello",
    "Id",
    "Judgement",
    "Lease",
    "LeaseMode",
    "Load",
    "LoadedModel",
    "Message",
    "ModelSpec",
    "Phase",
    "Place",
    "Placed",
    "PoolStatus",
    "Prompt",
    "RefusalKind",
    "Refused",
    "Release",
    "Reload",
    "Residency",
    "Role",
    "RunMessage",
    "Score",
    "ScoreItem",
    "Scored",
    "ScoredItem",
    "Seconds",
    "Sha256",
    "Stage",
    "Status",
    "Stop",
    "ThumbnailOf",
    "Waiting",
    "Welcome",
    "WorkerState",
    "WorkerStatus",
]

AnyMessage = (
    Hello | Welcome | Refused | Heartbeat | Goodbye
    | Edit | AtBarrier | Release | Edited
    | Score | Scored
    | Failed | Ack | Cancel | Load | Place | Placed
    | Lease | Granted | Waiting | Reload | Status | PoolStatus | Stop
)  # fmt: skip
