"""The edit stage: carries out what ``rounds`` decides, and turns the editors' messages into its events."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from protocol import messages as m
from protocol.codec import Buffer
from scheduler.base.text import counted
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.units import EditUnit
from scheduler.stages import actions as a
from scheduler.stages.clock import StageClock
from scheduler.stages.costs import CostLine
from scheduler.stages.edit_rows import EditJob, edit_problem, failed_edit, thumbnail_problem
from scheduler.stages.reads import Reads
from scheduler.stages.rounds import Rounds
from scheduler.stages.services import Services
from scheduler.stages.suspects import poison_message
from scheduler.stages.task import Task
from scheduler.store.delivery import LedgerEntry
from scheduler.store.rows import FailedRow
from scheduler.store.run_directory import RunDirectory, thumbnail_path

log = logging.getLogger("warmbench")


class EditStage:
    """All edits of a run. ``reused`` were made by an earlier part of the run; ``costs`` learns what an edit costs."""

    def __init__(
        self,
        services: Services,
        task: Task,
        directory: RunDirectory,
        costs: CostLine,
        on_edited: Callable[[EditUnit, str], None],
    ) -> None:
        self._services = services
        self._task = task
        self._directory = directory
        self._costs = costs
        self._on_edited = on_edited
        self._reads = Reads(services)
        self.rounds = Rounds(())
        self._started = False
        self._jobs: dict[str, EditJob] = {}
        self.clock = StageClock()
        self.done = 0
        self.done_by: Counter[str] = Counter()
        self.failed = 0
        self.reused = 0

    def begin(self, rounds: Rounds, *, reused: int) -> None:
        """Start with these edits."""
        self.rounds = rounds
        self._started = True
        self.reused = reused

    @property
    def finished(self) -> bool:
        """Whether every edit is delivered or has failed."""
        return self._started and self.rounds.finished

    @property
    def running_out(self) -> bool:
        """Whether no edit waits for an editor."""
        return self._started and self.rounds.running_out

    @property
    def nearly_out(self) -> bool:
        """Whether at most a quarter of the edits waits for an editor."""
        return self._started and self.rounds.nearly_out

    def at_work(self) -> dict[str, EditJob]:
        """Return the job that each editor's device may be working on."""
        return {job.worker: job for job in self._jobs.values() if self.rounds.current(job.worker) == job.unit}

    def join(self, *workers: str) -> None:
        """Take these editors in."""
        self._act(self.rounds.join(*workers))

    def lose(self, worker: str, *, died: bool, reason: str | None = None) -> None:
        """Reassign the work of an editor that died (of ``reason``, if known), ends as ``reason`` says, or is silent."""
        lost = {job.unit: job for job in self._jobs.values() if job.worker == worker}
        for job in lost.values():
            del self._jobs[job.name]
        if lost:
            what = "died" if died else reason or "is silent"
            log.warning("%s %s; unfinished: %s", worker, what, ", ".join(unit.key for unit in lost))
        actions = self.rounds.lose(worker, died=died, reason=reason)
        for action in actions:
            if isinstance(action, a.GiveUpEdit):
                text = poison_message(action.deaths)
                log.error("%s: %s", action.unit.key, text)
                identity = self._identity(action.unit)
                self._record(failed_edit(action.unit, lost.get(action.unit), "edit", "poison", text, identity=identity))
        self._act(actions)

    def drain(self) -> None:
        """Start no further edits."""
        self._act(self.rounds.drain())

    def handle(self, worker: str, message: m.AnyMessage, images: list[Buffer]) -> None:
        """Take a message of an editor."""
        match message:
            case m.AtBarrier():
                self._on_device_done(worker, message)
            case m.Edited():
                self._on_result(worker, message, images[0], images[1:])
            case m.Failed(kind=kind, message=text) if kind in m.HOPELESS:
                self._services.abort(f"{worker}: {text} ({kind})")
            case m.Failed(job=job, stage=stage, kind=kind, message=text, started=started, finished=finished):
                self._acknowledge(worker, job)
                self._fail(worker, job, stage, kind, text, started, finished)

    # -- results

    def _on_device_done(self, worker: str, message: m.AtBarrier) -> None:
        job = self._job(worker, message.job)
        if job is None:
            return
        self.clock.worked(worker, message.started, message.finished)
        if self._services.trace is not None:
            details = {"round": message.round, "attempt": job.attempt}
            self._services.trace.device(worker, job.device, job.unit.job, message.started, message.finished, details)
        self._costs.note(self._task.source_pixels(job.unit) / 1e6, max(0.0, message.finished - message.started))
        self._act(self.rounds.at_barrier(worker, job.unit))

    def _on_result(self, worker: str, message: m.Edited, image: Buffer, thumbnails: Sequence[Buffer]) -> None:
        job = self._job(worker, message.job)
        client = self._services.worker(worker)
        if job is None or client is None:
            # Another editor has delivered it meanwhile: the first result counts.
            self._acknowledge(worker, message.job)
            return
        if self._services.trace is not None:
            self._services.trace.codecs(worker, job.unit.job, message.codecs)
        problem = edit_problem(message, image)
        if problem is not None:
            self._acknowledge(worker, message.job)
            self._fail(worker, message.job, "edit", "error", problem, message.started, message.finished)
            return
        del self._jobs[message.job]
        unit = job.unit
        path = self._directory.image_path(unit.category, unit.pair_id, unit.sample)
        recorded, seed = self._directory.recorded(path), self._task.seed_of(unit)
        row = job.edited(message, identity=self._identity(unit), image=recorded, seed=seed)

        def durable() -> None:
            self.done += 1
            self.done_by[worker] += 1
            self._acknowledge(worker, message.job)
            self._act(self.rounds.delivered(unit))
            self._on_edited(unit, message.sha256)

        pictures = self._thumbnails(worker, unit, dict(zip(message.thumbnails, thumbnails, strict=True)))
        self._services.deliver(LedgerEntry([row], image=(path, image), thumbnails=pictures, done=durable))
        self._act(self.rounds.received(worker, unit))

    def _thumbnails(
        self, worker: str, unit: EditUnit, sent: Mapping[m.ThumbnailOf, Buffer]
    ) -> list[tuple[str, Buffer]]:
        """Return the valid ones with their paths. The first sample brings the source's, which all samples share."""
        valid = []
        for what, thumbnail in sent.items():
            problem = thumbnail_problem(thumbnail)
            if problem is not None:
                log.warning("%s: the %s's thumbnail, from %s, is left out: %s", unit.key, what, worker, problem)
            elif what == "edit" or unit.sample == 0:
                sample = unit.sample if what == "edit" else None
                valid.append((thumbnail_path(self._directory.path, unit.category, unit.pair_id, sample), thumbnail))
        return valid

    def _identity(self, unit: EditUnit) -> str:
        return self._task.edit_identity(unit, self._services.fingerprint("editor"))

    def _fail(
        self,
        worker: str,
        name: str,
        stage: m.Stage,
        kind: str,
        text: str,
        started: float | None,
        finished: float | None,
    ) -> None:
        job = self._job(worker, name)
        if job is None:
            return
        del self._jobs[name]
        # Other kinds fail again: a bad image stays bad, and a worker itself tries twice when memory runs out.
        actions = self.rounds.failed(worker, job.unit, again=kind == "error")
        log.warning("%s: edit attempt %d failed on %s (%s): %s", job.unit.key, job.attempt, worker, kind, text)
        if a.GiveUpEdit(job.unit) in actions:
            times = {"started": started, "finished": finished}
            self._record(failed_edit(job.unit, job, stage, kind, text, identity=self._identity(job.unit), **times))
        self._act(actions)

    def _record(self, row: FailedRow) -> None:
        self.failed += 1
        self._services.deliver(LedgerEntry([row]))
        if row.stage != "load":
            self._services.failure_recorded(f"{row.category}/{row.pair_id}")

    def _acknowledge(self, worker: str, name: str) -> None:
        client = self._services.worker(worker)
        if client is not None:
            client.acknowledge(name)

    # -- carrying out

    def _act(self, actions: list[a.RoundAction]) -> None:
        synced: list[int] = []
        for action in actions:
            match action:
                case a.AssignEdit():
                    self._assign(action)
                case a.ReleaseRound(worker, number):
                    client = self._services.worker(worker)
                    if client is not None:
                        client.release(number)
                case a.Synced(number):
                    if self._services.trace is not None:
                        self._services.trace.barrier(number, self._arrived(), time.time())
                    self.clock.synced(time.time())
                    synced.append(number)
                case a.WithdrawEdit(worker, unit):
                    self._withdraw(worker, unit)
                case a.GiveUpEdit():
                    pass  # recorded where the reason is known
        # Logged last: writing to a slow terminal must not delay the next round.
        for number in synced:
            editors = counted(self.rounds.editors, "editor")
            log.info("Round %d/%d done, %s synced ✓", number + 1, self.rounds.last_round + 1, editors)

    def _arrived(self) -> dict[str, tuple[str, float]]:
        """Return the device of each editor at the barrier, and since when it waits."""
        clients = ((self._services.worker(name), since) for name, since in self.clock.last_finished.items())
        return {client.name: (client.device, since) for client, since in clients if client is not None}

    def _assign(self, action: a.AssignEdit) -> None:
        client = self._services.worker(action.editor)
        if client is None:
            return
        pair = self._task.pairs[action.unit.key]
        job = EditJob(action.editor, client.device, action.unit, action.round, action.attempt)
        name = job.name
        self._jobs[name] = job

        def send(sources: list[bytes] | Exception) -> None:
            if self._jobs.get(name) is not job:
                return
            if isinstance(sources, Exception):
                # They were good when the benchmark was loaded: this is a failure of the run.
                kind = sources.kind if isinstance(sources, PairError) else "error"
                self._fail(action.editor, name, "edit", kind, str(sources), None, None)
                return
            client.send(
                m.Edit(
                    run=self._services.run,
                    incarnation=client.incarnation,
                    epoch=self._services.epoch,
                    job=name,
                    key=pair.key,
                    round=action.round,
                    instruction=pair.instruction,
                    seed=self._task.seed_of(action.unit),
                    parameters=dict(self._task.edit_parameters),
                    images=len(sources),
                ),
                sources,
            )

        self._reads.read(self._task.sources(action.unit), send, ahead=self.rounds.current(action.editor) != action.unit)

    def _withdraw(self, worker: str, unit: EditUnit) -> None:
        names = [name for name, job in self._jobs.items() if job.worker == worker and job.unit == unit]
        for name in names:
            del self._jobs[name]
        client = self._services.worker(worker)
        if client is not None:
            client.cancel(names)

    def _job(self, worker: str, name: str) -> EditJob | None:
        job = self._jobs.get(name)
        return job if job is not None and job.worker == worker else None
