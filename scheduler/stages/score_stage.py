"""The score stage: carries out what ``batches`` decides, and turns the rewards' messages into its events."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import partial

from msgspec import structs

from protocol import messages as m
from scheduler.base.files import read_file
from scheduler.base.text import counted
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages import actions as a
from scheduler.stages.batches import Batches
from scheduler.stages.clock import StageClock
from scheduler.stages.open_judgements import OpenJudgements
from scheduler.stages.score_log import ScoreLog, log_lost
from scheduler.stages.score_rows import ScoreJob, failed_score, job_name
from scheduler.stages.services import Services
from scheduler.stages.suspects import poison_message
from scheduler.stages.task import Task
from scheduler.store.delivery import LedgerEntry
from scheduler.store.rows import AnsweredRow, FailedRow, Row, ScoredRow
from scheduler.store.usage import sum_usage

log = logging.getLogger("warmbench")


class ScoreStage:
    """All scores of a run. ``image_path`` gives the path of an edit's image; without ``keep_images`` it is removed once
    the edit is scored; ``reused`` scores are from an earlier part of the run. An image that was ``made_elsewhere`` and
    cannot be decoded was bad before the run.
    """

    def __init__(
        self,
        services: Services,
        task: Task,
        batches: Batches,
        image_path: Callable[[EditUnit], str],
        *,
        keep_images: bool,
        made_elsewhere: bool,
    ) -> None:
        self._services = services
        self._task = task
        self._batches = batches
        self._image_path = image_path
        self._keep_images = keep_images
        self._made_elsewhere = made_elsewhere
        self._known: dict[ScoreUnit, str] = {}
        self._answered: dict[ScoreUnit, AnsweredRow] = {}
        self._open = OpenJudgements(task.judging)
        # If models share devices, all edits of a run wait here: only a hash is kept of each.
        self._hashes: dict[EditUnit, bytes] = {}
        self._more_units: dict[EditUnit, int] = {}
        self._spent: dict[ScoreUnit, m.Usage] = {}
        self._unscored: set[EditUnit] = set()
        self._jobs: dict[str, ScoreJob] = {}
        self._log = ScoreLog(streams=batches.slots > 1)
        self.clock = StageClock()
        self.done = 0
        self.failed = 0
        self.reused = 0

    def begin(self, known: Mapping[ScoreUnit, str], answered: Mapping[ScoreUnit, AnsweredRow], *, reused: int) -> None:
        """``known`` are the identities of judgements that are in the ledger, and ``answered`` the answers of those that
        are not whole: these are reused. ``reused`` is the number of scores of edits that will not be available again.
        """
        self._known = dict(known)
        self._answered = dict(answered)
        self.reused = reused

    @property
    def finished(self) -> bool:
        """Whether every delivered edit is scored or has failed, and no more will come."""
        return self._batches.finished

    @property
    def idle(self) -> bool:
        """Whether every edit that was delivered so far is scored or has failed."""
        return self._batches.idle

    def available(self, unit: EditUnit, sha256: str) -> None:
        """Score a delivered edit, whose image has this hash."""
        rows: list[Row] = []
        missing: list[ScoreUnit] = []
        for judgement in self._task.judging.judgements(unit):
            parts = self._task.judging.parts(judgement)
            known = self._known.pop(judgement, None)
            if known is not None and known == self._identity_of(judgement, sha256):
                self.reused += len(parts)
                continue
            for part in parts:
                row = self._answered.pop(part, None)
                if row is not None and row.identity == self._identity_of(part, sha256):
                    self.reused += 1
                    rows += self._open.add(part, row, partial(self._identity_of, sha256=sha256))
                else:
                    missing.append(part)
        if rows:
            self._services.deliver(LedgerEntry(rows))
        if not missing:
            if not self._keep_images:
                self._services.deliver(LedgerEntry([], remove=self._image_path(unit)))
            return
        self._hashes[unit] = bytes.fromhex(sha256)
        if len(missing) > 1:
            self._more_units[unit] = len(missing) - 1
        for one in missing:
            actions = self._batches.available(one)
            self._record_poison(actions, {})
            self._act(actions)

    def at_work(self) -> dict[str, list[ScoreJob]]:
        """Return the batches that each reward's device may be working on."""
        first: dict[str, list[ScoreJob]] = {}
        for job in self._jobs.values():
            of_worker = first.setdefault(job.worker, [])
            if len(of_worker) < self._batches.slots:
                of_worker.append(job)
        return first

    def close(self) -> None:
        """No more edits will come."""
        self._act(self._batches.close())

    def join(self, *workers: str) -> None:
        """Take these rewards in."""
        self._act(self._batches.join(*workers))

    def lose(self, worker: str, *, died: bool, reason: str | None = None) -> None:
        """Reassign the work of a reward that died (of ``reason``, if known), ends as ``reason`` says, or is silent."""
        lost = [job for job in self._jobs.values() if job.worker == worker]
        for job in lost:
            del self._jobs[job.name]
        log_lost(worker, lost, died=died, reason=reason)
        assigned = {unit: job for job in lost for unit in job.units}
        actions = self._batches.lose(worker, died=died, reason=reason)
        self._record_poison(actions, assigned)
        self._act(actions)

    def drain(self) -> None:
        """Start no further batches."""
        self._act(self._batches.drain())

    def handle(self, worker: str, message: m.AnyMessage) -> None:
        """Take a message of a reward."""
        match message:
            case m.AtBarrier():
                job = self._jobs.get(message.job)
                if job is not None and job.worker == worker:
                    self._batches.device_done(worker, job.batch)
            case m.Scored():
                self._on_scored(worker, message)
            case m.Failed(kind=kind, message=text) if kind in m.HOPELESS:
                self._services.abort(f"{worker}: {text} ({kind})")
            case m.Failed(job=name, kind=kind, message=text):
                self._acknowledge(worker, name)
                self._fail_batch(worker, name, kind, text, counts=not self._was_bad(kind))

    # -- results

    def _on_scored(self, worker: str, message: m.Scored) -> None:
        job = self._take(worker, message.job)
        client = self._services.worker(worker)
        if job is None or client is None:
            self._acknowledge(worker, message.job)
            return
        self.clock.worked(worker, message.started, message.finished)
        if self._services.trace is not None:
            title = f"batch {job.batch + 1}"
            details = {"edits": [unit.job for unit in job.units]}
            self._services.trace.device(worker, job.device, title, message.started, message.finished, details)
            self._services.trace.codecs(worker, title, message.codecs)
        answers = {item.item: item.judgements for item in message.items}
        scores: list[float] = []
        usage = (judgement.usage for item in message.items for judgement in item.judgements)
        requests = sum(each.requests for each in usage if each is not None)
        actions = self._batches.scored(worker, job.batch, requests=requests)
        for unit in job.units:
            row = self._task.judging.row(job, unit, answers.get(unit.job, []), message, self._identity(unit))
            if isinstance(row, FailedRow):
                actions += self._on_unit_failed(worker, unit, row)
                continue
            rows = self._result_rows(unit, row)
            scores += [result.score for result in rows if isinstance(result, ScoredRow)]
            self._services.deliver(LedgerEntry(rows, done=partial(self._durable, unit), remove=self._settle(unit)))
        self._log.judged(job, message, scores)
        # Entries are made durable in order: once this empty one is, the rows before it are.
        self._services.deliver(LedgerEntry([], done=lambda: self._acknowledge(worker, message.job)))
        self._act(actions)

    def _result_rows(self, unit: ScoreUnit, row: ScoredRow | AnsweredRow) -> list[Row]:
        """The row of a unit, and that of its judgement if it is the last part of one."""
        usage = sum_usage(self._spent.pop(unit, None), row.usage)
        row = structs.replace(row, usage=usage)
        return [row, *self._open.add(unit, row, self._identity)] if isinstance(row, AnsweredRow) else [row]

    def _on_unit_failed(self, worker: str, unit: ScoreUnit, row: FailedRow) -> list[a.BatchAction]:
        again = row.kind == "error" or (row.kind == "unreadable_reply" and self._task.asks_again)
        actions = self._batches.unit_failed(worker, unit, again=again)
        if a.GiveUpScore(unit) in actions:
            self._record(unit, row, counts=not self._was_bad(row.kind))
        elif (usage := sum_usage(self._spent.pop(unit, None), row.usage)) is not None:
            self._spent[unit] = usage
        return actions

    def _take(self, worker: str, name: str) -> ScoreJob | None:
        """Remove and return the job; None if this reward does not have it."""
        job = self._jobs.get(name)
        return self._jobs.pop(name) if job is not None and job.worker == worker else None

    def _fail_batch(self, worker: str, name: str, kind: str, text: str, *, counts: bool = True) -> None:
        job = self._take(worker, name)
        if job is None:
            return
        log.warning("Batch %d of %d failed on %s (%s): %s", job.batch + 1, len(job.units), worker, kind, text)
        actions = self._batches.batch_failed(worker, job.batch, again=kind == "error")
        for unit in job.units:
            if a.GiveUpScore(unit) in actions:
                self._record(unit, failed_score(unit, job, kind, text, identity=self._identity(unit)), counts=counts)
        self._act(actions)

    def _record_poison(self, actions: list[a.BatchAction], assigned: Mapping[ScoreUnit, ScoreJob]) -> None:
        for action in actions:
            if isinstance(action, a.GiveUpScore) and action.deaths:
                unit, text = action.unit, poison_message(action.deaths)
                row = failed_score(unit, assigned.get(unit), "poison", text, identity=self._identity(unit))
                self._record(unit, row)

    def _record(self, unit: ScoreUnit, row: FailedRow, *, counts: bool = True) -> None:
        log.warning("%s: no score (%s): %s", unit.key, row.kind, row.message)
        self.failed += 1
        row = structs.replace(row, usage=sum_usage(self._spent.pop(unit, None), row.usage))
        # Its image stays, so that a resumed run can score it without editing again.
        self._unscored.add(unit.edit)
        self._settle(unit)
        self._services.deliver(LedgerEntry([row]))
        if counts:
            self._services.failure_recorded(unit.key)

    def _was_bad(self, kind: str) -> bool:
        """Whether a failure that a reward reports is about an image that was bad before the run."""
        return self._made_elsewhere and kind in ("bad_image", "image_too_large")

    def _identity(self, unit: ScoreUnit) -> str:
        return self._identity_of(unit, self._hashes[unit.edit].hex())

    def _identity_of(self, unit: ScoreUnit, sha256: str) -> str:
        return self._task.judging.identity(unit, sha256, self._services.fingerprint("reward"))

    def _settle(self, unit: ScoreUnit) -> str | None:
        """Count one unit as done; return the image's path if the image is not needed any more."""
        left = self._more_units.pop(unit.edit, 0)
        if left:
            self._more_units[unit.edit] = left - 1
            return None
        path = None if self._keep_images or unit.edit in self._unscored else self._image_path(unit.edit)
        self._unscored.discard(unit.edit)
        del self._hashes[unit.edit]
        return path

    def _durable(self, unit: ScoreUnit) -> None:
        self.done += 1
        self._act(self._batches.delivered(unit))
        if self._batches.idle:
            self._log.flush()

    def _acknowledge(self, worker: str, name: str) -> None:
        client = self._services.worker(worker)
        if client is not None:
            client.acknowledge(name)

    # -- carrying out

    def _act(self, actions: list[a.BatchAction]) -> None:
        for action in actions:
            match action:
                case a.AssignBatch():
                    self._assign(action)
                case a.WithdrawBatch(worker, number):
                    self._jobs.pop(job_name(number), None)
                    client = self._services.worker(worker)
                    if client is not None:
                        client.cancel([job_name(number)])
                case a.GiveUpScore():
                    pass  # recorded where the reason is known
        if self._batches.exhausted:
            made = counted(self._batches.requests, "request")
            limit = "which are all that reward_model.params.max_requests allows; a resumed run may make as many again"
            self._services.abort(f"the judge was sent {made}, {limit}")

    def _assign(self, action: a.AssignBatch) -> None:
        client = self._services.worker(action.reward)
        if client is None:
            return
        job = ScoreJob(action.reward, client.device, action.batch, action.units, action.attempts)
        self._jobs[job.name] = job
        hashes = [self._hashes[unit.edit] for unit in job.units]
        items = [self._task.judging.item(unit) for unit in job.units]

        def read() -> list[bytes]:
            return [
                _read_unchanged(self._image_path(unit.edit), sha256)
                if name == "edit"
                else self._task.pairs[unit.key].images[name].read()
                for unit, sha256, item in zip(job.units, hashes, items, strict=True)
                for name in item.images
            ]

        def send(frames: list[bytes] | Exception) -> None:
            if self._jobs.get(job.name) is not job:
                return
            if isinstance(frames, Exception):
                kind = frames.kind if isinstance(frames, PairError) else "bad_image"
                self._fail_batch(job.worker, job.name, kind, str(frames))
                return
            message = m.Score(
                run=self._services.run,
                incarnation=client.incarnation,
                epoch=self._services.epoch,
                job=job.name,
                items=items,
                parameters=dict(self._task.score_parameters),
            )
            try:
                client.send(message, frames)
            except ValueError as error:
                # Over the limits of a message: its units are retried one at a time.
                self._fail_batch(job.worker, job.name, "too_large", str(error))

        self._services.read(read, send)


def _read_unchanged(path: str, sha256: bytes) -> bytes:
    """Read the image; raises ``PairError`` if it is not the one that the ledger has."""
    content = read_file(path)
    if hashlib.sha256(content).digest() != sha256:
        raise PairError("bad_image", f"{path} is no longer the image that was recorded")
    return content
