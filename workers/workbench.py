"""Carries out what ``workers.jobs`` decides: decode, run on the device, encode, send, keep until acknowledged.

All methods run in the worker's loop. Codec and device threads do the work and post its end to the loop. Another thread
prepares a reward's next batches while the device scores. A streaming reward works beside the device, on several jobs at
a time, each of which ends when it is judged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from protocol import messages as m
from protocol.codec import Buffer
from protocol.mailbox import Mailbox
from workers import jobs as j
from workers.ahead import AheadThread, has_free_core, result_or_none
from workers.codec_threads import CodecThreads, Payload
from workers.device import Call, Device, Outcome, failure_of
from workers.holder import Layout, ModelHolder, layout_of, output_of
from workers.interface import ModelError, Scores
from workers.payloads import PreparedBatch, failure

_MOST_AHEAD = 2
"""The most batches prepared ahead: prepared images are large, and a run sends one batch ahead."""
SendMessage = Callable[[str, m.Message, Sequence[Buffer]], None]


@dataclass
class Activity:
    """The device's progress. Written by the thread that works: single values, no invariants between them."""

    step: int = 0
    steps: int = 0
    progress: int = 0
    done: int = 0


class Workbench:
    """The jobs of one worker, with their images and results."""

    def __init__(
        self,
        mailbox: Mailbox,
        device: Device,
        holder: ModelHolder,
        send: SendMessage,
        on_first_done: Callable[[], None],
        may_prepare: Callable[[], bool] = has_free_core,
    ) -> None:
        """``on_first_done`` is called when the device has finished its first job, before it gets the next one.

        ``may_prepare`` says whether batches may be prepared ahead at the moment.
        """
        self.jobs = j.Jobs()
        self.activity = Activity()
        self.job_timeout = 600.0
        self._payloads: dict[j.JobKey, Payload] = {}
        self._mailbox = mailbox
        self._device = device
        self._holder = holder
        self._send = send
        self._on_first_done = on_first_done
        self._may_prepare = may_prepare
        self._lined_up: j.JobKey | None = None
        self._already_started: j.JobKey | None = None
        self._streams = 0
        self._ahead: AheadThread[PreparedBatch | None] = AheadThread()
        self.codecs = CodecThreads()

    def catch_up(self) -> None:
        """Call this first in each turn: the device may have continued with the edit that was lined up."""
        if self._device.withdraw():
            self._already_started = self._lined_up
            self.take_outcomes()
        self._lined_up = None
        assert self._already_started is None, "the device started what was not next"  # noqa: S101 - a broken caller

    def take_outcomes(self) -> None:
        """Handle the calls that the device has finished."""
        for outcome in self._device.take():
            outcome.tag(outcome)

    def line_up(self) -> None:
        """Call this last in each turn: a device that finishes while the loop waits then continues with the next edit.

        Not before the first finished job of this process, which the launcher has to hear of first.
        """
        key = self.jobs.following
        if key is not None and self.activity.done and isinstance(self._payloads[key].message, m.Edit):
            self._lined_up = key
            self._device.line_up(self._call(key))

    def add(self, message: m.Edit | m.Score, images: list[Buffer]) -> None:
        """A job arrived."""
        key = j.JobKey(message.run, message.job)
        self._payloads.setdefault(key, Payload(message, images))
        self.act(self.jobs.add(key, message.round if isinstance(message, m.Edit) else None))

    def refuse_waiting(self, kind: m.RefusalKind, text: str, *, before_epoch: int | None = None) -> None:
        """Refuse and drop all jobs that the device has not started, or only those of epochs before ``before_epoch``."""
        queued = [j.JobKey(run, name) for run in self.jobs.runs for name in self.jobs.unfinished(run)[0]]
        for key in queued:
            message = self._payloads[key].message
            if before_epoch is None or message.epoch < before_epoch:
                self.act(self.jobs.cancel(key.run, [key.job]))
                incarnation = message.incarnation
                refused = m.Refused(run=key.run, incarnation=incarnation, kind=kind, message=text, job=key.job)
                self._send(key.run, refused, ())

    def act(self, actions: list[j.JobAction]) -> None:
        """Carry out these actions."""
        for action in actions:
            match action:
                case j.Decode(key, ahead):
                    payload = self._payloads[key]
                    payload.as_files = self._holder.takes_files
                    self._when_done(self.codecs.decode(payload, ahead=ahead), partial(self._decoded, key, payload))
                case j.Start(key):
                    self._start(key)
                case j.ReportAtBarrier(key, round_):
                    self._report_at_barrier(key, round_)
                case j.Encode(key, deferred):
                    payload = self._payloads[key]
                    self._when_done(
                        self.codecs.encode(payload, deferred=deferred), partial(self._encoded, key, payload)
                    )
                case j.Send(key):
                    reply = self._payloads[key].reply
                    assert reply is not None, "sent before it was encoded"  # noqa: S101 - jobs.py orders it so
                    self._send(key.run, reply.message, reply.images)
                case j.Forget(key):
                    self._forget(self._payloads.pop(key, None))

    def _forget(self, payload: Payload | None) -> None:
        """Cancel what is still done for a job that is over, or that nobody wants any more."""
        if payload is not None:
            for future in (payload.prepared, payload.source_thumbnail, payload.stream):
                if future is not None:
                    future.cancel()

    def _when_done(self, future: Future[None], then: Callable[[ModelError | None], None]) -> None:
        """Have the loop call ``then`` with the codec thread's error when that has finished."""

        def ended(future: Future[None]) -> None:
            error = _as_model_error(future.exception())
            self._mailbox.post(lambda: then(error))

        future.add_done_callback(ended)

    def _decoded(self, key: j.JobKey, payload: Payload, error: ModelError | None) -> None:
        if self._payloads.get(key) is not payload:
            return  # dropped in the meantime, and perhaps sent again
        if error is None:
            payload.waiting = True
            self.act(self.jobs.decoded(key))
            self._prepare_ahead()
            self.codecs.make_thumbnail(payload)
        else:
            payload.reply = failure(payload.message, error, None, None)
            self.act(self.jobs.decode_failed(key))

    def _start(self, key: j.JobKey) -> None:
        self._payloads[key].waiting = False
        if self._holder.slots is not None:
            self._stream(key, self._payloads[key])
            return
        self.codecs.device_started()
        if key == self._already_started:
            self._already_started = None
        else:
            self._device.submit(self._call(key))
        self._prepare_ahead()

    def _stream(self, key: j.JobKey, payload: Payload) -> None:
        """Have a streaming reward judge. The watchdog runs as long as any job is with it."""
        assert isinstance(payload.message, m.Score), "only rewards stream"  # noqa: S101 - the worker refuses others
        started, layout = time.time(), layout_of(payload.decoded)

        def count() -> None:
            self.activity.progress += 1

        def progress() -> None:
            self._device.watchdog.progressed()
            self._mailbox.post(count)

        def ended(future: Future[Scores]) -> None:
            finished = time.time()
            self._mailbox.post(lambda: self._streamed(key, payload, layout, future, started, finished))

        if not self._streams:
            self._device.watchdog.watch_between_calls(self.job_timeout)
        self._streams += 1
        payload.stream = self._holder.stream(payload.message, payload.decoded, progress)
        payload.decoded = None  # the reward drops the images when it has sent them
        payload.stream.add_done_callback(ended)

    def _streamed(
        self, key: j.JobKey, payload: Payload, layout: Layout, future: Future[Scores], started: float, finished: float
    ) -> None:
        """A streaming reward is done with the job. It may take more of them now, or fewer."""
        self._streams -= 1
        if not self._streams:
            self._device.watchdog.watch_between_calls(0)
        payload.stream = None
        try:
            scores = future.result()
            outcome = Outcome(None, started, finished, output_of(layout, scores.judgements, scores.batch_sizes))
        except BaseException as error:  # noqa: BLE001 - a user's model may raise anything, and it may be cancelled
            kind, text = failure_of(error)
            outcome = Outcome(None, started, finished, error_kind=kind, error=text)
        self.act(self.jobs.set_slots(self._holder.slots))
        self._done(key, payload, outcome)

    def _done(self, key: j.JobKey, payload: Payload, outcome: Outcome) -> None:
        """The device, or a streaming reward, is done with the job."""
        activity = self.activity
        activity.done += 1
        activity.progress += 1
        if activity.done == 1:
            self._on_first_done()
        # The tag is a function that holds the payload: without the cycle, images are freed at once.
        payload.outcome, payload.decoded, payload.prepared = replace(outcome, tag=None), None, None
        if outcome.error is not None:
            error = ModelError(outcome.error_kind or "error", outcome.error)
            payload.reply = failure(payload.message, error, outcome.started, outcome.finished)
        self.act(self.jobs.device_done(key, failed=outcome.error is not None))

    def _call(self, key: j.JobKey) -> Call:
        payload, activity = self._payloads[key], self.activity

        def progress(step: int, steps: int) -> None:
            activity.step, activity.steps = step, steps
            activity.progress += 1
            self._device.watchdog.progressed()

        def work() -> Any:
            activity.step = activity.steps = 0
            if isinstance(payload.message, m.Edit):
                return self._holder.edit(payload.message, payload.decoded, progress)
            return self._holder.score(payload.message, payload.decoded, result_or_none(payload.prepared), progress)

        def done(outcome: Outcome) -> None:
            self.codecs.device_ended(outcome)
            self._done(key, payload, outcome)

        return Call(done, work, self.job_timeout)

    def _prepare_ahead(self) -> None:
        """Have the thread prepare the batches that start next."""
        if self.jobs.running is None or self._holder.slots is not None:
            return  # the device would start them now, or the model is being moved and may change
        payloads = self._payloads.values()
        waiting = [payload for payload in payloads if payload.waiting and isinstance(payload.message, m.Score)]
        unprepared = [payload for payload in waiting if payload.prepared is None]
        if not (unprepared and self._may_prepare()):
            return
        for payload in unprepared[: max(0, _MOST_AHEAD - (len(waiting) - len(unprepared)))]:
            payload.prepared = self._ahead.submit(partial(_prepare, self._holder, payload))

    def _report_at_barrier(self, key: j.JobKey, round_: int | None) -> None:
        payload = self._payloads[key]
        assert payload.outcome is not None, "at the barrier before the device was done"  # noqa: S101 - set just before
        message = m.AtBarrier(
            run=key.run,
            incarnation=payload.message.incarnation,
            job=key.job,
            round=round_,
            started=payload.outcome.started,
            finished=payload.outcome.finished,
        )
        self._send(key.run, message, ())

    def _encoded(self, key: j.JobKey, payload: Payload, error: ModelError | None) -> None:
        if self._payloads.get(key) is not payload:
            return
        if error is not None:
            outcome = payload.outcome
            times = (outcome.started, outcome.finished) if outcome else (None, None)
            payload.reply = failure(payload.message, error, *times)
        self.act(self.jobs.encoded(key))


def _prepare(holder: ModelHolder, payload: Payload) -> PreparedBatch | None:
    assert isinstance(payload.message, m.Score), "only batches are prepared"  # noqa: S101 - the caller selects them
    return holder.prepare_batch(payload.message, payload.decoded)


def _as_model_error(error: BaseException | None) -> ModelError | None:
    if error is None or isinstance(error, ModelError):
        return error
    return ModelError("error", f"{type(error).__name__}: {error}")
