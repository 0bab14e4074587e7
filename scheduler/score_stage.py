"""The score stage: carries out what ``scheduler.batches`` decides, and turns what rewards answer into its events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from protocol import messages as m
from scheduler import batches as b
from scheduler.benchmark.model import Pair, PairError
from scheduler.config.prompts import CategoryPrompts
from scheduler.delivery import Item
from scheduler.ledger_rows import FailedRow, ScoredRow
from scheduler.score_rows import ScoreRows, SentBatch, SentUnit, failed_score
from scheduler.services import EditedImage, Services, StageClock
from scheduler.suspects import poison_message
from scheduler.units import EditUnit, ScoreUnit

log = logging.getLogger("warmbench")


@dataclass(frozen=True)
class ScoreSettings:
    """What is the same for all scores of a run. ``keep_images``: edits stay on disk when they are scored."""

    parameters: Mapping[str, Any]
    with_source: bool
    score_range: tuple[float, float]
    passes: int
    keep_images: bool


class ScoreStage:
    """All scores of a run."""

    def __init__(
        self,
        services: Services,
        batches: b.Batches,
        pairs: Mapping[str, Pair],
        settings: ScoreSettings,
        prompts_of: Callable[[str], CategoryPrompts],
    ) -> None:
        self._services = services
        self._batches = batches
        self._pairs = pairs
        self._settings = settings
        self._rows = ScoreRows(
            pairs,
            prompts_of,
            parameters=settings.parameters,
            with_source=settings.with_source,
            score_range=settings.score_range,
        )
        self._images: dict[EditUnit, EditedImage] = {}
        self._passes_left: dict[EditUnit, int] = {}
        self._jobs: dict[str, SentBatch] = {}
        self.clock = StageClock()
        self.done = 0
        self.failed = 0

    @property
    def finished(self) -> bool:
        """Whether every edit that was delivered is scored or has failed, and no more will come."""
        return self._batches.finished

    def available(self, unit: EditUnit, image: EditedImage) -> None:
        """An edit is delivered."""
        self._images[unit] = image
        self._passes_left[unit] = self._settings.passes
        for number in range(self._settings.passes):
            actions = self._batches.available(ScoreUnit(unit, number))
            self._record_poison(actions, {})
            self._act(actions)

    def close(self) -> None:
        """No more edits will come."""
        self._act(self._batches.close())

    def join(self, *workers: str) -> None:
        """Rewards are ready."""
        self._act(self._batches.join(*workers))

    def lose(self, worker: str, *, died: bool) -> None:
        """A reward is gone: with ``died`` it is dead, else it was not heard for too long."""
        lost = {name: batch for name, batch in self._jobs.items() if batch.worker == worker}
        for name, batch in lost.items():
            del self._jobs[name]
            what = "died" if died else "fell silent"
            log.warning("%s %s; it had batch %d, of size %d", worker, what, batch.number + 1, len(batch.units))
        had = {sent.unit: batch for batch in lost.values() for sent in batch.units}
        actions = self._batches.lose(worker, died=died)
        self._record_poison(actions, had)
        self._act(actions)

    def drain(self) -> None:
        """Begin nothing more."""
        self._act(self._batches.drain())

    def handle(self, worker: str, message: m.AnyMessage) -> None:
        """An answer of a reward's."""
        match message:
            case m.Scored():
                self._on_scored(worker, message)
            case m.Failed():
                self._acknowledge(worker, message.job)
                self._fail_batch(worker, message.job, message.kind, message.message)

    # -- results

    def _on_scored(self, worker: str, message: m.Scored) -> None:
        batch = self._jobs.pop(message.job, None)
        client = self._services.worker(worker)
        if batch is None or client is None or client.model is None:
            self._acknowledge(worker, message.job)
            return
        self.clock.worked(worker, message.started, message.finished)
        answers = {item.item: item.judgements for item in message.items}
        scores: list[float] = []
        actions = self._batches.scored(worker, batch.number)
        for sent in batch.units:
            unit, judgements = sent.unit, answers.get(sent.unit.job, [])
            image, fingerprint = self._images[unit.edit], client.model.fingerprint
            row = self._rows.judged(batch, sent, image, judgements, message, fingerprint)
            if isinstance(row, ScoredRow):
                scores.append(row.score)
                self._services.deliver(Item([row], done=self._durable(unit), remove=self._settle(unit)))
                continue
            retried = self._batches.unit_failed(unit, again=row.kind == "error")
            if b.GiveUpScore(unit) in retried:
                self._record(unit, row)
            actions += retried
        if scores:
            mean = sum(scores) / len(scores)
            log.info("Batch %d on %s: %d scored, avg_score=%.3f", batch.number + 1, worker, len(scores), mean)
        sizes = message.batch_sizes
        if len(sizes) > 1 and self._settings.parameters.get("use_batch_inference", True) and len(batch.units) > 1:
            log.debug("Batch %d was worked on in parts of %s", batch.number + 1, sizes)
        # The rows before it are safe once this one is: then the worker may forget the batch.
        self._services.deliver(Item([], done=lambda: self._acknowledge(worker, message.job)))
        self._act(actions)

    def _fail_batch(self, worker: str, name: str, kind: str, text: str) -> None:
        batch = self._jobs.pop(name, None)
        if batch is None:
            return
        log.warning("Batch %d of %d failed on %s (%s): %s", batch.number + 1, len(batch.units), worker, kind, text)
        actions = self._batches.batch_failed(worker, batch.number, again=kind == "error")
        for sent in batch.units:
            if b.GiveUpScore(sent.unit) in actions:
                self._record(sent.unit, failed_score(sent.unit, batch, kind, text))
        self._act(actions)

    def _record_poison(self, actions: list[b.BatchAction], had: Mapping[ScoreUnit, SentBatch]) -> None:
        for action in actions:
            if isinstance(action, b.GiveUpScore) and action.deaths:
                row = failed_score(action.unit, had.get(action.unit), "poison", poison_message(action.deaths))
                self._record(action.unit, row)

    def _record(self, unit: ScoreUnit, row: FailedRow) -> None:
        log.warning("%s: no score (%s): %s", unit.key, row.kind, row.message)
        self.failed += 1
        self._services.deliver(Item([row], remove=self._settle(unit)))
        self._services.failure_recorded(unit.key)

    def _settle(self, unit: ScoreUnit) -> Any:
        """The image's path if nobody needs the image any more."""
        self._passes_left[unit.edit] -= 1
        done = self._passes_left[unit.edit] == 0
        return self._images[unit.edit].path if done and not self._settings.keep_images else None

    def _durable(self, unit: ScoreUnit) -> Callable[[], None]:
        def done() -> None:
            self.done += 1
            self._batches.delivered(unit)

        return done

    def _acknowledge(self, worker: str, name: str) -> None:
        client = self._services.worker(worker)
        if client is not None:
            client.send(m.Ack(run=self._services.run, incarnation=client.incarnation, job=name))

    # -- carrying out

    def _act(self, actions: list[b.BatchAction]) -> None:
        for action in actions:
            match action:
                case b.AssignBatch():
                    self._assign(action)
                case b.WithdrawBatch(worker, number):
                    self._jobs.pop(_name(number), None)
                    client = self._services.worker(worker)
                    if client is not None:
                        client.send(
                            m.Cancel(run=self._services.run, incarnation=client.incarnation, jobs=[_name(number)])
                        )
                case b.GiveUpScore():
                    pass  # recorded where the reason is known

    def _assign(self, action: b.AssignBatch) -> None:
        client = self._services.worker(action.reward)
        if client is None:
            return
        name = _name(action.batch)
        units = tuple(
            SentUnit(unit, attempt, self._rows.prompts(unit))
            for unit, attempt in zip(action.units, action.attempts, strict=True)
        )
        batch = SentBatch(action.reward, client.device, action.batch, units)
        self._jobs[name] = batch
        images = [(self._images[unit.edit], self._pairs[unit.key]) for unit in action.units]
        with_source = self._settings.with_source

        def read() -> list[bytes]:
            frames: list[bytes] = []
            for image, pair in images:
                frames.append(image.path.read_bytes())
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
                parameters=dict(self._settings.parameters),
            )
            try:
                client.send(message, frames)
            except ValueError as error:
                # Over the limits of a message: a smaller batch, at last of one, may be within them.
                self._fail_batch(action.reward, name, "too_large", str(error))

        self._services.read(read, send)


def _name(batch: int) -> str:
    return f"batch-{batch}"
