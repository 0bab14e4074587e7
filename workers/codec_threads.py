"""The threads that decode a worker's images before the device needs them, and encode its results.

Work that a device waits for comes first, here and in the other workers on the same processors. So images decoded ahead,
thumbnails of sources, and images whose editor waits at a barrier are delayed for a moment after the device has started
a job. Nothing is delayed while the device is idle.
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
from workers.device import Outcome
from workers.interface import Scores
from workers.payloads import JobResult, PreparedBatch, decode_batch, decode_sources, encode_edit, encode_scores, warm_up
from workers.thumbnail_maker import make_thumbnail

log = logging.getLogger("warmbench.worker")

_THREADS = 2
_DELAY_SECONDS, _DELAY_SHARE = 0.25, 0.15
"""The delay: the most seconds, and the share of the device's time for its last job."""
_ASSUMED_JOB_SECONDS = 0.5
"""The assumed time of a job before the device has finished one."""


@dataclass
class Payload:
    """Everything that is kept for one job."""

    message: m.Edit | m.Score
    images: list[Buffer]
    decoded: Any = None
    as_files: bool = False
    source: Image.Image | None = None
    source_thumbnail: Future[bytes | None] | None = None
    waiting: bool = False
    prepared: Future[PreparedBatch | None] | None = None
    stream: Future[Scores] | None = None
    outcome: Outcome | None = None
    reply: JobResult | None = None
    codecs: list[m.CodecSpan] = field(default_factory=list)


class CodecThreads:
    """All methods are called in the worker's loop. The futures end in a codec thread and raise what failed there."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="codec")
        self._busy, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self._job_started, self._job_seconds = 0.0, _ASSUMED_JOB_SECONDS

    def warm_up(self, role: m.Role) -> None:
        """Prepare for jobs, as a model is about to be loaded."""
        self._threads.submit(warm_up, role).add_done_callback(_log_failure)

    def device_started(self) -> None:
        """The device has started a job."""
        self._job_started = time.monotonic()
        self._idle.clear()
        self._busy.set()

    def device_ended(self, outcome: Outcome) -> None:
        """The device has finished its job."""
        self._busy.clear()
        self._idle.set()
        if outcome.error is None:
            self._job_seconds = max(0.0, outcome.finished - outcome.started)

    def decode(self, payload: Payload, *, ahead: bool) -> Future[None]:
        """Decode the job's images to ``payload.decoded``. ``ahead``: the device is busy with another job."""
        return self._threads.submit(self._decode_ahead if ahead else _decode, payload)

    def make_thumbnail(self, payload: Payload) -> None:
        """Make the thumbnail of the job's source, if it has one. The job was decoded, and started if it could be."""
        source, payload.source = payload.source, None
        if source is not None:
            payload.source_thumbnail = self._threads.submit(self._make_thumbnail_later, payload, source)

    def encode(self, payload: Payload, *, deferred: bool) -> Future[None]:
        """Encode the job's result to ``payload.reply``. ``deferred``: the device is about to get its next job."""
        return self._threads.submit(self._encode_deferred if deferred else _encode, payload)

    # -- in a codec thread

    @property
    def _delay(self) -> float:
        return min(_DELAY_SECONDS, self._job_seconds * _DELAY_SHARE)

    def _yield_to_device(self, delays: int = 1) -> None:
        """Wait until this many delays after the device started its job, or until the device is idle."""
        self._idle.wait(max(0.0, self._job_started + delays * self._delay - time.monotonic()))

    def _decode_ahead(self, payload: Payload) -> None:
        if isinstance(payload.message, m.Edit):  # a batch is prepared ahead as well, which takes longer
            self._yield_to_device()
        _decode(payload)

    def _make_thumbnail_later(self, payload: Payload, source: Image.Image) -> bytes | None:
        self._yield_to_device(2)  # not directly after decoding: two short pieces of work disturb less than a long one
        began = time.time()
        thumbnail = make_thumbnail(source)
        payload.codecs.append(_span("decode", began))
        return thumbnail

    def _encode_deferred(self, payload: Payload) -> None:
        """Without the delay, on busy cores a barrier would wait while this worker and others compress their images."""
        self._busy.wait(self._delay)
        self._yield_to_device()
        _encode(payload)


def _decode(payload: Payload) -> None:
    began = time.time()
    if isinstance(payload.message, m.Edit):
        payload.decoded = decode_sources(payload.images)
        payload.source = payload.decoded[0].copy()  # for its thumbnail: an editor may draw on what it is given
    else:
        payload.decoded = decode_batch(payload.message, payload.images, as_files=payload.as_files)
    payload.images = []
    payload.codecs.append(_span("decode", began))


def _encode(payload: Payload) -> None:
    outcome, message = payload.outcome, payload.message
    assert outcome is not None, "encoded before the device was done"  # noqa: S101 - jobs.py orders it so
    # The thumbnail was submitted first, so a thread has started it: this wait cannot block all threads.
    thumbnail = payload.source_thumbnail.result() if payload.source_thumbnail else None
    began = time.time()
    if isinstance(message, m.Edit):
        reply = encode_edit(message, outcome.value, outcome.started, outcome.finished, thumbnail)
    else:
        reply = encode_scores(message, outcome.value, outcome.started, outcome.finished)
    codecs = [*payload.codecs, _span("encode", began)]
    payload.reply = replace(reply, message=structs.replace(reply.message, codecs=codecs))
    payload.outcome = replace(outcome, value=None)
    # A result that cannot be sent, such as a score that is not a number, fails here: it fails this job only.
    encode(payload.reply.message, payload.reply.images)


def _span(what: Literal["decode", "encode"], began: float) -> m.CodecSpan:
    """The work that this codec thread has just finished. The executor ends its threads' names with a number."""
    number = int(threading.current_thread().name.rpartition("_")[2])
    return m.CodecSpan(what=what, thread=number, started=began, finished=time.time())


def _log_failure(future: Future[None]) -> None:
    if (error := future.exception()) is not None:
        log.warning("the codecs could not be warmed up: %s: %s", type(error).__name__, error)
