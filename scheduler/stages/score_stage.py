"""The score stage: carries out what ``batches`` decides, and turns the rewards' messages into its events."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping

from protocol import messages as m
from scheduler.base.files import read_file
from scheduler.benchmark.model import PairError
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages import actions as a
from scheduler.stages.batches import Batches
from scheduler.stages.clock import StageClock
from scheduler.stages.score_rows import SentBatch, SentUnit, failed_score, judged_row
from scheduler.stages.services import EditedImage, Services
from scheduler.stages.suspects import poison_message
from scheduler.stages.task import Task
from scheduler.store.delivery import Item
from scheduler.store.rows import FailedRow, ScoredRow

log = logging.getLogger("warmbench")


class ScoreStage:
    """All scores of a run. ``image_path`` gives the path of an edit's image; without ``keep_images`` it is removed once
    the edit is scored; ``reused`` scores are from an earlier part of the run.
    """

    def __init__(
        self,
        services: Services,
        task: Task,
        batches: Batches,
        image_path: Callable[[EditUnit], str],
        *,
        keep_images: bool,
    ) -> None:
        self._services = services
        self._task = task
        self._batches = batches
        self._image_path = image_path
        self._keep_images = keep_images
        self._known: dict[ScoreUnit, str] = {}
        # If models share devices, all edits of a run wait here: only a hash is kept of each.
        self._hashes: dict[EditUnit, bytes] = {}
        self._more_passes: dict[EditUnit, int] = {}
        self._unscored: set[EditUnit] = set()
        self._jobs: dict[str, SentBatch] = {}
        self.clock = StageClock()
        self.done = 0
        self.failed = 0
        self.reused = 0

    def begin(self, known: Mapping[ScoreUnit, str], *, reused: int) -> None:
        """``known`` are the identities of scores that are in the ledger: these are reused."""
        self._known = dict(known)
        self.reused = reused

    @property
    def finished(self) -> bool:
        """Whether every delivered edit is scored or has failed, and no more will come."""
        return self._batches.finished

    def available(self, unit: EditUnit, image: EditedImage) -> None:
        """An edit is delivered."""
        passes = (ScoreUnit(unit, number) for number in range(self._task.passes))
        missing = [one for one in passes if not self._reuse(one, image)]
        if not missing:
            if not self._keep_images:
                self._services.deliver(Item([], remove=image.path))
            return
        self._hashes[unit] = bytes.fromhex(image.sha256)
        if len(missing) > 1:
            self._more_passes[unit] = len(missing) - 1
        for one in missing:
            actions = self._batches.available(one)
            self._record_poison(actions, {})
            self._act(actions)

    def _reuse(self, unit: ScoreUnit, image: EditedImage) -> bool:
        """Return whether the ledger has the score of this image, and count it if so."""
        known = self._known.pop(unit, None)
        reused = known is not None and known == self._identity(unit, image)
        self.reused += reused
        return reused

    def at_work(self) -> dict[str, tuple[str, SentBatch]]:
        """Return the batch that each reward's device may be working on, with its name on the wire."""
        first: dict[str, tuple[str, SentBatch]] = {}
        for name, batch in self._jobs.items():
            first.setdefault(batch.worker, (name, batch))
        return first

    def close(self) -> None:
        """No more edits will come."""
        self._act(self._batches.close())

    def join(self, *workers: str) -> None:
        """Take these rewards in."""
        self._act(self._batches.join(*workers))

    def lose(self, worker: str, *, died: bool) -> None:
        """Reassign the work of a reward that died or, without ``died``, was silent for too long."""
        lost = {name: batch for name, batch in self._jobs.items() if batch.worker == worker}
        for name, batch in lost.items():
            del self._jobs[name]
            what = "died" if died else "is silent"
            log.warning("%s %s; unfinished: batch %d of %d", worker, what, batch.number + 1, len(batch.units))
        assigned = {sent.unit: batch for batch in lost.values() for sent in batch.units}
        actions = self._batches.lose(worker, died=died)
        self._record_poison(actions, assigned)
        self._act(actions)

    def drain(self) -> None:
        """Start no further batches."""
        self._act(self._batches.drain())

    def handle(self, worker: str, message: m.AnyMessage) -> None:
        """Take a message of a reward."""
        match message:
            case m.AtBarrier():
                batch = self._jobs.get(message.job)
                if batch is not None and batch.worker == worker:
                    self._batches.device_done(worker, batch.number)
            case m.Scored():
                self._on_scored(worker, message)
            case m.Failed():
                self._acknowledge(worker, message.job)
                self._fail_batch(worker, message.job, message.kind, message.message)

    # -- results

    def _on_scored(self, worker: str, message: m.Scored) -> None:
        batch = self._take(worker, message.job)
        client = self._services.worker(worker)
        if batch is None or client is None:
            self._acknowledge(worker, message.job)
            return
        self.clock.worked(worker, message.started, message.finished)
        if self._services.trace is not None:
            title = f"batch {batch.number + 1}"
            details = {"edits": [sent.unit.job for sent in batch.units]}
            self._services.trace.device(worker, batch.device, title, message.started, message.finished, details)
            self._services.trace.codecs(worker, title, message.codecs)
        answers = {item.item: item.judgements for item in message.items}
        scores: list[float] = []
        actions = self._batches.scored(worker, batch.number)
        for sent in batch.units:
            unit, judgements = sent.unit, answers.get(sent.unit.job, [])
            identity = self._identity(unit, self._image(unit.edit))
            row = judged_row(self._task, batch, sent, judgements, message, identity)
            if isinstance(row, ScoredRow):
                scores.append(row.score)
                self._services.deliver(Item([row], done=self._durable(unit), remove=self._settle(unit)))
                continue
            retried = self._batches.unit_failed(unit, again=row.kind == "error")
            if a.GiveUpScore(unit) in retried:
                self._record(unit, row)
            actions += retried
        if scores:
            mean = sum(scores) / len(scores)
            log.info("Batch %d on %s: %d scored, avg_score=%.3f", batch.number + 1, worker, len(scores), mean)
        sizes = message.batch_sizes
        if len(sizes) > 1 and self._task.score_parameters.get("use_batch_inference", True) and len(batch.units) > 1:
            log.debug("Batch %d was split into parts of %s", batch.number + 1, sizes)
        # Items are made durable in order: once this empty one is, the rows before it are.
        self._services.deliver(Item([], done=lambda: self._acknowledge(worker, message.job)))
        self._act(actions)

    def _take(self, worker: str, name: str) -> SentBatch | None:
        """Remove and return the batch; None if this reward does not have it."""
        batch = self._jobs.get(name)
        return self._jobs.pop(name) if batch is not None and batch.worker == worker else None

    def _fail_batch(self, worker: str, name: str, kind: str, text: str) -> None:
        batch = self._take(worker, name)
        if batch is None:
            return
        log.warning("Batch %d of %d failed on %s (%s): %s", batch.number + 1, len(batch.units), worker, kind, text)
        actions = self._batches.batch_failed(worker, batch.number, again=kind == "error")
        for sent in batch.units:
            if a.GiveUpScore(sent.unit) in actions:
                identity = self._identity(sent.unit, self._image(sent.unit.edit))
                self._record(sent.unit, failed_score(sent.unit, batch, kind, text, identity=identity))
        self._act(actions)

    def _record_poison(self, actions: list[a.BatchAction], assigned: Mapping[ScoreUnit, SentBatch]) -> None:
        for action in actions:
            if isinstance(action, a.GiveUpScore) and action.deaths:
                unit, text = action.unit, poison_message(action.deaths)
                identity = self._identity(unit, self._image(unit.edit))
                self._record(unit, failed_score(unit, assigned.get(unit), "poison", text, identity=identity))

    def _record(self, unit: ScoreUnit, row: FailedRow) -> None:
        log.warning("%s: no score (%s): %s", unit.key, row.kind, row.message)
        self.failed += 1
        # Its image stays, so that a resumed run can score it without editing again.
        self._unscored.add(unit.edit)
        self._settle(unit)
        self._services.deliver(Item([row]))
        self._services.failure_recorded(unit.key)

    def _identity(self, unit: ScoreUnit, image: EditedImage) -> str:
        return self._task.score_identity(unit, image.sha256, self._services.fingerprint("reward"))

    def _settle(self, unit: ScoreUnit) -> str | None:
        """Count one pass as done; return the image's path if the image is not needed any more."""
        left = self._more_passes.pop(unit.edit, 0)
        if left:
            self._more_passes[unit.edit] = left - 1
            return None
        path = None if self._keep_images or unit.edit in self._unscored else self._image(unit.edit).path
        self._unscored.discard(unit.edit)
        del self._hashes[unit.edit]
        return path

    def _image(self, unit: EditUnit) -> EditedImage:
        return EditedImage(self._image_path(unit), self._hashes[unit].hex())

    def _durable(self, unit: ScoreUnit) -> Callable[[], None]:
        def done() -> None:
            self.done += 1
            self._act(self._batches.delivered(unit))

        return done

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
                    self._jobs.pop(_name(number), None)
                    client = self._services.worker(worker)
                    if client is not None:
                        client.cancel([_name(number)])
                case a.GiveUpScore():
                    pass  # recorded where the reason is known

    def _assign(self, action: a.AssignBatch) -> None:
        client = self._services.worker(action.reward)
        if client is None:
            return
        name = _name(action.batch)
        units = tuple(
            SentUnit(unit, attempt, self._task.prompts(unit))
            for unit, attempt in zip(action.units, action.attempts, strict=True)
        )
        batch = SentBatch(action.reward, client.device, action.batch, units)
        self._jobs[name] = batch
        images = [(self._image(unit.edit), self._task.pairs[unit.key]) for unit in action.units]
        with_source = self._task.with_source

        def read() -> list[bytes]:
            frames: list[bytes] = []
            for image, pair in images:
                frames.append(_read_unchanged(image))
                if with_source:
                    frames.append(pair.source.read())
            return frames

        def send(frames: list[bytes] | Exception) -> None:
            if self._jobs.get(name) is not batch:
                return
            if isinstance(frames, Exception):
                kind = frames.kind if isinstance(frames, PairError) else "bad_image"
                self._fail_batch(action.reward, name, kind, str(frames))
                return
            items = [
                m.ScoreItem(item=sent.unit.job, key=sent.unit.key, prompts=list(sent.prompts), with_source=with_source)
                for sent in units
            ]
            message = m.Score(
                run=self._services.run,
                incarnation=client.incarnation,
                epoch=self._services.epoch,
                job=name,
                items=items,
                parameters=dict(self._task.score_parameters),
            )
            try:
                client.send(message, frames)
            except ValueError as error:
                # Over the limits of a message: its units are retried one at a time.
                self._fail_batch(action.reward, name, "too_large", str(error))

        self._services.read(read, send)


def _read_unchanged(image: EditedImage) -> bytes:
    """Read the image; what is judged must be what the ledger has.

    Raises:
        PairError: the file has other bytes.
    """
    content = read_file(image.path)
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise PairError("bad_image", f"{image.path} is no longer the image that was recorded")
    return content


def _name(batch: int) -> str:
    return f"batch-{batch}"
