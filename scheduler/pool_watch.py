"""What a run makes of the launcher's reports: which loads ended how, and whether a role has a worker left."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from protocol import messages as m


@dataclass(frozen=True)
class Line:
    """A line for the log."""

    level: int
    text: str


class PoolWatch:
    """The pool as its launcher last told of it."""

    def __init__(self, specs: Mapping[m.Role, m.ModelSpec]) -> None:
        self._specs = specs
        self._status: m.PoolStatus | None = None
        self._told: set[tuple[str, str, str]] = set()
        self._ready: set[str] = set()

    def update(self, status: m.PoolStatus) -> list[Line]:
        """Take a report; return what is new in it."""
        self._status = status
        total = len(status.workers)
        lines = []
        for worker in status.workers:
            what, level, text = self._describe(worker, total)
            news = (worker.worker_id, worker.incarnation, what)
            if what and news not in self._told:
                self._told.add(news)
                lines.append(Line(level, f"{worker.worker_id} on {worker.device}: {text}"))
        return lines

    def _describe(self, worker: m.WorkerStatus, total: int) -> tuple[str, int, str]:
        """What there is to say of the worker: a word for it (empty: nothing), its level, its text."""
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

    def alone(self, run: str) -> bool:
        """Whether no other run uses the pool or waits for it."""
        if self._status is None:
            return True
        return not [other for other in (*self._status.holders, *self._status.waiting) if other != run]

    def hopeless(self) -> str | None:
        """Why the run can't go on: a role without a worker that works or may come, or with another model."""
        if self._status is None:
            return None
        for role, spec in self._specs.items():
            workers = [worker for worker in self._status.workers if worker.role == role]
            if not workers:
                return f"the pool has no {role}"
            if all(_lost(worker) for worker in workers):
                first = workers[0]
                reason = first.state.error if first.state and first.state.error else f"exit code {first.exit_code}"
                return f"no {role} is left: {first.worker_id}: {reason} (its log: {first.log})"
            for worker in workers:
                model = worker.state.model if worker.state else None
                if model is not None and model.spec != spec:
                    difference = _difference(model.spec, spec)
                    return f"{worker.worker_id} holds another model than this run asks for: {difference}"
        return None

    @property
    def workers(self) -> list[m.WorkerStatus]:
        """All workers."""
        return self._status.workers if self._status else []


def _lost(worker: m.WorkerStatus) -> bool:
    failed = worker.state is not None and worker.state.phase == "failed"
    return worker.gave_up or (worker.alive and failed)


def _difference(has: m.ModelSpec, asked: m.ModelSpec) -> str:
    first, second = msgspec.to_builtins(has), msgspec.to_builtins(asked)
    flat = [(key, first[key], second[key]) for key in first if key != "params"]
    names = sorted(first["params"].keys() | second["params"].keys())
    flat += [(f"params.{name}", first["params"].get(name), second["params"].get(name)) for name in names]
    return ", ".join(f"{key} is {old!r}, not {new!r}" for key, old, new in flat if old != new)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
