"""What the launcher's reports mean for a run: how loads ended, and whether a role has a worker left."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from protocol import messages as m


@dataclass(frozen=True)
class LogLine:
    """A line for the log."""

    level: int
    text: str


class PoolWatch:
    """The pool as its launcher last reported it."""

    def __init__(self, specs: Mapping[m.Role, m.ModelSpec] | None = None) -> None:
        """``specs`` are the models that the run needs; none to watch without a run."""
        self._specs = specs or {}
        self.status: m.PoolStatus | None = None
        self._reported: set[tuple[str, str, str]] = set()
        self._ready: set[str] = set()

    def update(self, status: m.PoolStatus) -> list[LogLine]:
        """Take a report; return log lines about what is new in it."""
        self.status = status
        total = len(status.workers)
        lines = []
        for worker in status.workers:
            event, level, text = self._describe(worker, total)
            key = (worker.worker_id, worker.incarnation, event)
            if event and key not in self._reported:
                self._reported.add(key)
                lines.append(LogLine(level, f"{worker.worker_id} on {worker.device}: {text}"))
        return lines

    def _describe(self, worker: m.WorkerStatus, total: int) -> tuple[str, int, str]:
        """What has happened to the worker: a word for it (empty: nothing), the log level, the text."""
        state = worker.state
        if not worker.alive and worker.exit_code is not None:
            return "dead", logging.WARNING, f"died (exit code {worker.exit_code}), log: {worker.log}"
        if state is None:
            return "", 0, ""
        if state.phase == "loading":
            return "loading", logging.INFO, "loading the model ..."
        if state.phase == "failed":
            return "failed", logging.ERROR, f"the model was not loaded: {state.error} (log: {worker.log})"
        if state.phase == "ready" and state.model is not None:
            self._ready.add(worker.worker_id)
            size, seconds = _size(state.model.size_bytes), state.model.load_seconds
            return "ready", logging.INFO, f"model loaded [{len(self._ready)}/{total}] ({size} in {seconds:.1f} s)"
        return "", 0, ""

    def ends_with(self, run: str) -> bool:
        """Whether the pool ends when this run leaves: it is not kept, and no other run uses it or waits for it."""
        if self.status is None:
            return True
        others = [other for other in (*self.status.holders, *self.status.waiting) if other != run]
        return not others and not self.status.keep

    def hopeless(self, needed: Collection[m.Role], other_weights: Collection[tuple[str, str]] = ()) -> str | None:
        """Why the run cannot go on, if a role that is still needed has no worker that works or may come; else None.

        ``other_weights``: (worker, incarnation) that have loaded other weights than the run began with.
        """
        if self.status is None:
            return None
        for role, spec in self._specs.items():
            if role not in needed:
                continue
            workers = [worker for worker in self.status.workers if worker.role == role]
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

    @property
    def workers(self) -> list[m.WorkerStatus]:
        """All workers."""
        return self.status.workers if self.status else []


def _lost(worker: m.WorkerStatus, spec: m.ModelSpec) -> bool:
    """Whether it died for good or failed to load this model. If it failed to load another, it may load this one."""
    failed = worker.state is not None and worker.state.phase == "failed" and worker.spec == spec
    return worker.gave_up or (worker.alive and failed)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
