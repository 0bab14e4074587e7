"""The rows of the ledger: one JSON object a line, appended and never changed.

Times are epoch seconds of the device's work alone; ``sample`` counts the seeds of a pair from 0, ``pass_`` (``pass`` in
JSON) the judgements of one edit from 0. ``identity`` is a SHA-256 over all that the result depends on. ``reused_from``
is the id of another run from which the result was taken over; worker, device and times are then those of that run.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from protocol.messages import Usage
from scheduler.base.stages import Stage

FailureStage = Literal["load", "edit", "score"]


class PlannedRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="planned"):
    """A pair of the benchmark. ``source_sha256`` is of the encoded source image; null if the pair failed to load.

    ``images`` are the hashes of its other images by name, ``reference`` is a text that says what the edit should show.
    These and the fields after them are null where the data has none: see ``Details`` of the benchmark. In the ledger of
    a shard, ``position`` is that of the pair in the data.
    """

    category: str
    pair_id: str
    source_sha256: str | None
    instruction: str | None
    description: str | None
    images: dict[str, str] | None = None
    reference: str | None = None
    language: str | None = None
    task: str | None = None
    subsets: list[str] | None = None
    facts: dict[str, Any] | None = None
    position: int | UnsetType = UNSET


class EditedRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="edited"):
    """A delivered edit: ``image`` is its path, ``size`` its ``[width, height]`` in pixels.

    ``attempt``, ``worker``, times and ``seed`` of an edit that was made elsewhere are null.
    """

    category: str
    pair_id: str
    sample: int
    attempt: int | None = None
    worker: str | None = None
    device: str | None = None
    round: int | None = None
    started: float | None = None
    finished: float | None = None
    identity: str
    image: str
    sha256: str
    size: tuple[int, int]
    seed: int | None = None
    reused_from: str | UnsetType = UNSET


class AnsweredRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="answered"):
    """The judge's answer to one question of a protocol. ``dimensions`` are what was read from the ``response``."""

    category: str
    pair_id: str
    sample: int
    pass_: int = field(name="pass")
    question: str
    attempt: int
    worker: str | None
    device: str | None
    batch: int | None
    started: float | None
    finished: float | None
    identity: str
    dimensions: dict[str, float]
    response: str
    usage: Usage | None = None
    reused_from: str | UnsetType = UNSET


class ScoredRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="scored"):
    """A score. ``aspects`` is aspect to score where a pair has several prompts; ``batch`` counts from 0.

    Where a protocol judges, the row follows the last of the ``answered`` ones: ``dimensions`` are those of all
    questions, ``response`` is null.
    """

    category: str
    pair_id: str
    sample: int
    pass_: int = field(name="pass")
    attempt: int
    worker: str | None
    device: str | None
    batch: int | None
    started: float | None
    finished: float | None
    identity: str
    score: float
    aspects: dict[str, float] | None
    response: str | None
    method: str
    dimensions: dict[str, float] | None = None
    usage: Usage | None = None
    reused_from: str | UnsetType = UNSET


class FailedRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="failed"):
    """Why a pair, or one sample, pass or question of it, has no result."""

    category: str
    pair_id: str
    sample: int | None
    pass_: int | None = field(name="pass", default=None)
    attempt: int | None = None
    worker: str | None = None
    device: str | None = None
    round: int | None = None
    batch: int | None = None
    started: float | None = None
    finished: float | None = None
    identity: str | None = None
    stage: FailureStage
    kind: str
    message: str
    question: str | None = None
    usage: Usage | None = None


class StageRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="stage"):
    """The times of one stage of one part of the run, written when the part ends.

    ``wall_seconds`` is from the stage's first start to its last end, ``device_seconds`` the sum over workers of the
    time in which each had work (a batch, or requests in flight together, counted once), ``barrier_wait_seconds`` the
    sum over workers.
    """

    stage: Stage
    wall_seconds: float
    device_seconds: float
    workers: int
    rounds: int
    barrier_wait_seconds: float
    model_switches: int
    model_switch_seconds: float
    finished: float


Row = PlannedRow | EditedRow | AnsweredRow | ScoredRow | FailedRow | StageRow

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)


def encode_row(row: Row) -> bytes:
    """Return the row as one line of JSON with its newline."""
    return _encoder.encode(row) + b"\n"


def decode_row(line: bytes) -> Row:
    """Read one line; raises ``msgspec.DecodeError`` if it is not a row (a torn last line, for instance)."""
    return _decoder.decode(line)
