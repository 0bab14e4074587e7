"""The rows of the ledger: what is known of every pair, one JSON object a line, appended and never changed.

Times are seconds since the epoch and cover the device's work alone; ``sample`` counts the seeds of a pair from 0,
``pass_`` (``pass`` in JSON) the judgements of one edit from 0. ``identity`` is a SHA-256 over all that the result
depends on.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct, field

FailureStage = Literal["load", "edit", "score"]


class Planned(Struct, frozen=True, kw_only=True, tag_field="event", tag="planned"):
    """A pair of the benchmark. ``source_sha256`` is of the encoded source image; null if the pair failed to load."""

    category: str
    pair_id: str
    source_sha256: str | None
    instruction: str | None
    description: str | None


class EditedRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="edited"):
    """A delivered edit: ``image`` is its path, ``size`` its ``[width, height]`` in pixels. How one came about that was
    made elsewhere is null.
    """

    category: str
    pair_id: str
    sample: int
    attempt: int | None
    worker: str | None
    device: str | None
    round: int | None
    started: float | None
    finished: float | None
    identity: str
    image: str
    sha256: str
    size: tuple[int, int]
    seed: int | None


class ScoredRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="scored"):
    """A score. ``aspects`` is name to score where the pair has several prompts; ``batch`` counts the run's batches."""

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


class FailedRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="failed"):
    """A pair (or one sample or pass of it) that got no result, and why."""

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


class StageRow(Struct, frozen=True, kw_only=True, tag_field="event", tag="stage"):
    """The end of one stage of one part of the run.

    ``wall_seconds`` is from the stage's first start to its last end, ``device_seconds`` the sum of all device work
    (a batch counted once), ``barrier_wait_seconds`` the sum over workers of waiting at barriers.
    """

    stage: Literal["edit", "score"]
    wall_seconds: float
    device_seconds: float
    workers: int
    rounds: int
    barrier_wait_seconds: float
    model_switches: int
    model_switch_seconds: float
    finished: float


Row = Planned | EditedRow | ScoredRow | FailedRow | StageRow

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)


def encode_row(row: Row) -> bytes:
    """Return the row as one line of JSON, newline included."""
    return _encoder.encode(row) + b"\n"


def decode_row(line: bytes) -> Row:
    """Read one line.

    Raises:
        msgspec.DecodeError: it is no JSON (a torn last line, for instance).
        msgspec.ValidationError: it is JSON, but no row.
    """
    return _decoder.decode(line)
