"""The threads that decode a worker's images ahead of its device and encode them behind it.

What a device waits for comes first, here and in the other workers on the same processors: what is decoded ahead, the
thumbnail of a source, and an image whose editor stands at a barrier step aside for a moment after the device has got a
job. Nothing steps aside while the device has nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec import structs
from PIL import Image

from protocol import messages as m
from protocol.codec import Buffer, encode
from workers.codecs import decode_image
from workers.device import Outcome
from workers.payloads import JobResult, PreparedBatch, decode_batch, encode_edit, encode_scores, warm_up
from workers.thumbnail_maker import make_thumbnail

log = logging.getLogger("warmbench.worker")

_THREADS = 2
_ASIDE_SECONDS, _ASIDE_SHARE = 0.25, 0.15
"""The moment for which is stepped aside: seconds at most, and the share of what the device took for its last job."""
_FIRST_SECONDS = 0.5
"""What a device is supposed to take as long as it has done nothing."""


@dataclass
class Payload:
    """All that is kept of one job."""

    message: m.Edit | m.Score
    images: list[Buffer]
    decoded: Any = None
    source: Image.Image | None = None
    source_thumbnail: Future[bytes | None] | None = None
    waiting: bool = False
    prepared: Future[PreparedBatch | None] | None = None
    outcome: Outcome | None = None
    reply: JobResult | None = None
    codecs: list[m.CodecSpan] = field(default_factory=list)


class CodecThreads:
    """All methods are called in the worker's loop. The futures end in a codec thread, and raise what went wrong."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="codec")
        self._busy, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self._begun, self._took = 0.0, _FIRST_SECONDS

    def warm_up(self, role: m.Role) -> None:
        """A model is about to be loaded: jobs will come."""
        self._threads.submit(warm_up, role).add_done_callback(_log_failure)

    def device_began(self) -> None:
        """The device has got a job."""
        self._begun = time.monotonic()
        self._idle.clear()
        self._busy.set()

    def device_ended(self, outcome: Outcome) -> None:
        """The device is done with it."""
        self._busy.clear()
        self._idle.set()
        if outcome.error is None:
            self._took = max(0.0, outcome.finished - outcome.started)

    def decode(self, payload: Payload, *, ahead: bool) -> Future[None]:
        """The job's images: ``payload.decoded``. With ``ahead`` the device is busy with another job."""
        return self._threads.submit(self._decode_ahead if ahead else _decode, payload)

    def make_thumbnail(self, payload: Payload) -> None:
        """That of the source, if there is one. It was decoded, and started if it could be."""
        source, payload.source = payload.source, None
        if source is not None:
            payload.source_thumbnail = self._threads.submit(self._thumbnail_behind, payload, source)

    def encode(self, payload: Payload, *, behind: bool) -> Future[None]:
        """The job's result: ``payload.reply``. With ``behind`` the device is about to get its next job."""
        return self._threads.submit(self._encode_behind if behind else _encode, payload)

    # -- in a codec thread

    @property
    def _aside(self) -> float:
        return min(_ASIDE_SECONDS, self._took * _ASIDE_SHARE)

    def _step_aside(self, moments: int = 1) -> None:
        """Until so many moments after the device got its job, or until it is done with it."""
        self._idle.wait(max(0.0, self._begun + moments * self._aside - time.monotonic()))

    def _decode_ahead(self, payload: Payload) -> None:
        if isinstance(payload.message, m.Edit):  # batches are prepared ahead as well, and that takes its time
            self._step_aside()
        _decode(payload)

    def _thumbnail_behind(self, payload: Payload, source: Image.Image) -> bytes | None:
        self._step_aside(2)  # not right behind the decoding: two short pieces of work are in nobody's way
        began = time.time()
        thumbnail = make_thumbnail(source)
        payload.codecs.append(_span("decode", began))
        return thumbnail

    def _encode_behind(self, payload: Payload) -> None:
        """On busy cores a barrier would wait for images to be compressed, this worker's own and those of the workers
        that were released a little earlier.
        """
        self._busy.wait(self._aside)
        self._step_aside()
        _encode(payload)


def _decode(payload: Payload) -> None:
    began = time.time()
    if isinstance(payload.message, m.Edit):
        payload.decoded = decode_image(bytes(payload.images[0]))
        payload.source = payload.decoded.copy()  # for its thumbnail: an editor may draw on what it is given
    else:
        payload.decoded = decode_batch(payload.message, payload.images)
    payload.images = []
    payload.codecs.append(_span("decode", began))


def _encode(payload: Payload) -> None:
    outcome, message = payload.outcome, payload.message
    assert outcome is not None, "encoded before the device was done"  # noqa: S101 - jobs.py orders it so
    # It was begun before this was, so that no thread waits for what none has begun.
    small = payload.source_thumbnail.result() if payload.source_thumbnail else None
    began = time.time()
    if isinstance(message, m.Edit):
        reply = encode_edit(message, outcome.value, outcome.started, outcome.finished, small)
    else:
        reply = encode_scores(message, outcome.value, outcome.started, outcome.finished)
    codecs = [*payload.codecs, _span("encode", began)]
    payload.reply = replace(reply, message=structs.replace(reply.message, codecs=codecs))
    payload.outcome = replace(outcome, value=None)
    # What can't be sent, such as a score that is not a number, is found here, where it fails this job alone.
    encode(payload.reply.message, payload.reply.images)


def _span(what: Literal["decode", "encode"], began: float) -> m.CodecSpan:
    """What this codec thread has just done. The executor numbers its threads at the end of their names."""
    number = int(threading.current_thread().name.rpartition("_")[2])
    return m.CodecSpan(what=what, thread=number, started=began, finished=time.time())


def _log_failure(future: Future[None]) -> None:
    if (error := future.exception()) is not None:
        log.warning("the codecs could not be warmed up: %s: %s", type(error).__name__, error)
