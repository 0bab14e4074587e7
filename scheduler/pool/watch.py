"""What the launcher's reports mean for a run: how loads ended, and whether a role has a worker left."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from msgspec import Struct

from protocol import messages as m
from scheduler.base.text import format_size, model_title

_READY: Mapping[m.Residency, str] = {
    "device": "model loaded",
    "host": "model loaded into host memory",
    "disk": "model checked, and left on disk until its turn",
}
_WHERE: Mapping[m.Residency, str] = {"device": "on its device", "host": "in host memory", "disk": "on disk"}


_WAITING_SECONDS = (10.0, 60.0)
"""After how long it is said for what a worker waits, and how often then."""


class LogLine(Struct, frozen=True):
    """A line for the log."""

    level: int
    text: str


class PoolWatch:
    """The pool as its launcher last reported it."""

    def __init__(self, specs: Mapping[m.Role, m.ModelSpec] | None = None, *, attached: bool = False) -> None:
        """``specs`` are the models that the run needs; none to watch without a run. ``attached``: the pool was up
        before, so its first report tells of what happened before the run.
        """
        self._specs = specs or {}
        self._attached = attached
        self.status: m.PoolStatus | None = None
        self._seen: dict[str, tuple[str, ...]] = {}
        self._ready: set[str] = set()
        self._say_at: dict[str, float] = {}

    def update(self, status: m.PoolStatus, now: float = 0.0) -> list[LogLine]:
        """Take a report; return log lines about what is new in it. ``now`` are seconds of a clock that never jumps."""
        earlier = self._attached and self.status is None
        self.status = status
        lines = []
        for worker in status.workers:
            if self._waits_for_long(worker, now):
                lines.append(LogLine(logging.WARNING, f"{worker.worker_id} waits for {worker.waits_for}"))
            seen = _event(worker)
            if seen == self._seen.get(worker.worker_id):
                continue
            self._seen[worker.worker_id] = seen
            line = self._before_the_run(worker) if earlier else self._news(worker)
            if line is not None:
                lines.append(LogLine(line.level, f"{worker.worker_id} on {worker.device}: {line.text}"))
        return lines

    def _waits_for_long(self, worker: m.WorkerStatus, now: float) -> bool:
        """Whether to say now for what a worker waits that could not be started yet."""
        first, again = _WAITING_SECONDS
        if worker.waits_for is None:
            self._say_at.pop(worker.worker_id, None)
            return False
        due = now >= self._say_at.setdefault(worker.worker_id, now + first)
        if due:
            self._say_at[worker.worker_id] = now + again
        return due

    def _before_the_run(self, worker: m.WorkerStatus) -> LogLine | None:
        """What the run finds; a failure to load another model than the run's is none of its business."""
        state = worker.state
        if state is None or not worker.alive:
            return None
        if state.phase == "failed" and worker.spec == self._specs.get(worker.role):
            return LogLine(logging.WARNING, f"could not load this model before: {state.error} (log: {worker.log})")
        if state.phase != "ready" or state.model is None:
            return self._news(worker)
        name, size = model_title(state.model.spec), format_size(state.model.size_bytes)
        if state.model.spec != self._specs.get(worker.role, state.model.spec):
            return LogLine(logging.INFO, f"holds another model: {name}")
        return LogLine(logging.INFO, f"holds {name} already {self._count(worker)} ({size}, {_WHERE[state.residency]})")

    def _news(self, worker: m.WorkerStatus) -> LogLine | None:
        """What has happened to the worker, if it is worth a line."""
        state = worker.state
        if not worker.alive and worker.exit_code is not None:
            reason = f": {state.error}" if state is not None and state.error else ""
            return LogLine(logging.WARNING, f"died (exit code {worker.exit_code}{reason}), log: {worker.log}")
        if state is None or worker.spec != self._specs.get(worker.role, worker.spec):
            return None
        if state.phase in ("downloading", "converting"):
            return LogLine(logging.INFO, f"{state.phase} the model ...")
        if state.phase == "loading":
            return LogLine(logging.INFO, "loading the model ...")
        if state.phase == "failed":
            return LogLine(logging.ERROR, f"the model was not loaded: {state.error} (log: {worker.log})")
        if state.phase == "ready" and state.model is not None and state.model.spec == worker.spec:
            size, seconds = format_size(state.model.size_bytes), state.model.load_seconds
            text = f"{_READY[state.residency]} {self._count(worker)} ({size} in {seconds:.1f} s)"
            now = f": it is {model_title(state.model.spec)} now" if self._attached else ""
            return LogLine(logging.INFO, text + now)
        return None

    def _count(self, worker: m.WorkerStatus) -> str:
        """Count the worker as ready: ``[2/3]``."""
        self._ready.add(worker.worker_id)
        return f"[{len(self._ready)}/{len(self.workers)}]"

    def ends_with(self, run: str) -> bool:
        """Whether the pool ends when this run leaves: it is not kept, and no other run uses it or waits for it."""
        if self.status is None:
            return True
        others = [other for other in (*self.status.holders, *self.status.waiting) if other != run]
        return not others and not self.status.keep

    def hopeless(
        self,
        needed: Collection[m.Role],
        other_weights: Collection[tuple[str, str]] = (),
        again: Collection[str] = (),
    ) -> str | None:
        """Why the run cannot go on, if a role that is still needed has no worker that works or may come; else None.

        ``other_weights``: (worker, incarnation) that have loaded other weights than the run began with. ``again``: the
        workers that are about to load their model again.
        """
        if self.status is None:
            return None
        for role, spec in self._specs.items():
            if role not in needed:
                continue
            workers = [worker for worker in self.status.workers if worker.role == role]
            if any(worker.worker_id in again for worker in workers):
                continue
            if not workers:
                other = "scoring" if role == "editor" else "editing"
                return f"the pool has no {role}: it was launched for {other} alone; stop it, or name another by --pool"
            changed = [worker for worker in workers if (worker.worker_id, worker.incarnation) in other_weights]
            if changed and all(worker in changed or _lost(worker, spec) for worker in workers):
                return f"no {role} is left with the weights that this run began with: the model's files have changed"
            if all(_lost(worker, spec) for worker in workers):
                first = workers[0]
                reason = first.state.error if first.state and first.state.error else f"exit code {first.exit_code}"
                return f"no {role} is left: {first.worker_id}: {reason} (its log: {first.log})"
        return None

    def not_loaded(self, role: m.Role) -> bool:
        """Whether all workers of the role have failed to load the run's model."""
        workers = [worker for worker in self.workers if worker.role == role]
        spec = self._specs.get(role)
        return bool(workers) and spec is not None and all(_failed(worker, spec) for worker in workers)

    @property
    def workers(self) -> list[m.WorkerStatus]:
        """All workers."""
        return self.status.workers if self.status else []


def _event(worker: m.WorkerStatus) -> tuple[str, ...]:
    """What distinguishes the worker's state from one that was reported already."""
    state = worker.state
    if not worker.alive or state is None:
        return (worker.incarnation, "dead" if not worker.alive else "starting")
    ready = state.model if state.phase == "ready" else None
    model = (ready.fingerprint, repr(ready.spec)) if ready is not None else ()
    return (worker.incarnation, state.phase, repr(worker.spec), state.error or "", *model)


def _lost(worker: m.WorkerStatus, spec: m.ModelSpec) -> bool:
    """Whether it died for good or failed to load this model. If it failed to load another, it may load this one."""
    return worker.gave_up or (worker.alive and _failed(worker, spec))


def _failed(worker: m.WorkerStatus, spec: m.ModelSpec) -> bool:
    return worker.state is not None and worker.state.phase == "failed" and worker.spec == spec
