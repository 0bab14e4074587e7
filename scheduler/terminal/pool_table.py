"""The workers of a pool, as a table for the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from protocol import messages as m
from scheduler.base.memory import device_memory, host_memory
from scheduler.base.text import format_duration, model_title, one_line


def pool_table(report: m.PoolStatus, *, here: bool) -> Table:
    """A row per worker. ``here``: the launcher is on this machine; memory is shown of processes on this machine."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, _ in (*_COLUMNS, *_MEMORY):
        table.add_column(name, no_wrap=True)
    for worker in report.workers:
        cells = [cell(worker, worker.state) for _, cell in _COLUMNS]
        cells += [_bytes(memory(worker.pid)) if here and _is_here(worker) else "-" for _, memory in _MEMORY]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _state(worker: m.WorkerStatus, state: m.WorkerState | None) -> str:
    if worker.waits_for is not None:
        return f"waits for {one_line(worker.waits_for, 100)}"
    if not worker.alive:
        reason = f": {one_line(state.error, 60)}" if state is not None and state.error else ""
        return ("given up" if worker.gave_up else "dead, to be started again") + reason
    if state is None:
        return "starting"
    if state.phase == "failed":
        return f"failed: {one_line(state.error or '', 60)}"
    if state.running is not None:
        return f"working, step {state.step}/{state.steps}"
    if state.stale:
        return "stale model files"
    return "idle" if state.phase == "ready" else state.phase


def _bytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**30:.1f} GiB"


_COLUMNS: tuple[tuple[str, Callable[[m.WorkerStatus, m.WorkerState | None], str]], ...] = (
    ("Worker", lambda worker, _: worker.worker_id),
    ("Role", lambda worker, _: worker.role),
    ("Device", lambda worker, _: worker.device),
    ("Model", lambda worker, _: model_title(worker.spec)),
    ("Residency", lambda _, state: state.residency if state else "-"),
    ("State", _state),
    ("Up", lambda worker, _: format_duration(time.time() - worker.started) if worker.alive else "-"),
    ("Done", lambda _, state: str(state.done) if state else "-"),
    ("Runs", lambda _, state: str(state.runs) if state else "-"),
)
_MEMORY: tuple[tuple[str, Callable[[int], int | None]], ...] = (("Host", host_memory), ("GPU", device_memory))


def _is_here(worker: m.WorkerStatus) -> bool:
    """Whether its pid is one of the launcher's machine."""
    return worker.alive and worker.host is None
