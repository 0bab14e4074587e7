"""Checks what editors send, and builds the ledger's rows of the edit stage from it."""

from __future__ import annotations

import hashlib
import struct

from msgspec import Struct

from protocol.codec import Buffer
from protocol.messages import MAX_THUMBNAIL_BYTES, Edited
from scheduler.benchmark.units import EditUnit
from scheduler.store.rows import EditedRow, FailedRow, FailureStage

MAX_MESSAGE = 4000
"""The ledger keeps this many characters of a failure's message."""


class EditJob(Struct, frozen=True):
    """One attempt at an edit, as it was sent to an editor."""

    worker: str
    device: str
    unit: EditUnit
    round: int | None
    attempt: int

    @property
    def name(self) -> str:
        """The job's name on the wire."""
        return f"{self.unit.job}#{self.attempt}"

    def edited(self, message: Edited, *, identity: str, image: str, seed: int) -> EditedRow:
        """Return the row of the edit, whose image goes to the path ``image``."""
        return EditedRow(
            **self.unit._asdict(),
            attempt=self.attempt,
            worker=self.worker,
            device=self.device,
            round=self.round,
            started=message.started,
            finished=message.finished,
            identity=identity,
            image=image,
            sha256=message.sha256,
            size=(message.width, message.height),
            seed=seed,
        )


def failed_edit(
    unit: EditUnit,
    job: EditJob | None,
    stage: FailureStage,
    kind: str,
    message: str,
    *,
    identity: str | None,
    started: float | None = None,
    finished: float | None = None,
) -> FailedRow:
    """Return the row of an edit that is given up; ``job`` is its last attempt, None if no editor had it."""
    return FailedRow(
        **unit._asdict(),
        attempt=job.attempt if job else None,
        worker=job.worker if job else None,
        device=job.device if job else None,
        round=job.round if job else None,
        started=started,
        finished=finished,
        identity=identity,
        stage=stage,
        kind=kind,
        message=message[:MAX_MESSAGE],
    )


def edit_problem(message: Edited, image: Buffer) -> str | None:
    """Return why these bytes are not the edit that the message announces; None if they are."""
    digest = hashlib.sha256(image).hexdigest()
    if digest != message.sha256:
        return f"the edit's bytes have SHA-256 {digest}, not {message.sha256} as its worker says"
    start = bytes(image[:24])
    if len(start) < 24 or not start.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"):
        return f"the edit is not a PNG: it begins with {start[:16]!r}"
    size = struct.unpack(">II", start[16:])
    if size != (message.width, message.height):
        return f"the edit has {size[0]}x{size[1]} pixels, not {message.width}x{message.height} as its worker says"
    return None


def thumbnail_problem(thumbnail: Buffer) -> str | None:
    """Return why these bytes are not a thumbnail; None if they look like one. They are never decoded here."""
    size = thumbnail.nbytes if isinstance(thumbnail, memoryview) else len(thumbnail)
    if size > MAX_THUMBNAIL_BYTES:
        return f"it has {size} bytes, and at most {MAX_THUMBNAIL_BYTES} are accepted"
    if bytes(thumbnail[:3]) != b"\xff\xd8\xff" or bytes(thumbnail[-2:]) != b"\xff\xd9":
        return f"it is not a JPEG: it begins with {bytes(thumbnail[:16])!r}"
    return None
