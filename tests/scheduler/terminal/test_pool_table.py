"""What the table of a pool says of each worker."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from protocol import messages as m
from scheduler.terminal.pool_table import pool_table

SPEC = m.ModelSpec(role="editor", type="qwen_image_edit", name="/models/checkpoint-7")


def shown(state: m.WorkerState | None, **fields: object) -> str:
    known = {"pid": 2**22, "alive": True, "incarnation": "i", "log": "log", "started": 0.0}
    worker = m.WorkerStatus(
        **{**known, **fields},  # type: ignore[arg-type] # fields of several types
        worker_id="editor-0",
        role="editor",
        device="cpu",
        spec=SPEC,
        state=state,
    )
    status = m.PoolStatus(run="r", incarnation="i", workers=[worker], holders=[], waiting=[], keep=True, stopping=False)
    console = Console(file=io.StringIO(), width=250)
    console.print(pool_table(status, here=True))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()[1]


READY = m.WorkerState(phase="ready", residency="device")
BROKEN = m.WorkerState(phase="ready", error="RuntimeError: CUDA error: device-side assert triggered")


@pytest.mark.parametrize(
    ("state", "fields", "text"),
    [
        (READY, {}, "idle"),
        (m.WorkerState(phase="ready", running="job", step=3, steps=40), {}, "working, step 3/40"),
        (m.WorkerState(phase="ready", stale=True), {}, "stale model files"),
        (m.WorkerState(phase="loading"), {}, "loading"),
        (m.WorkerState(phase="failed", error="no such file"), {}, "failed: no such file"),
        (None, {}, "starting"),
        (READY, {"alive": False}, "dead, to be started again"),
        (BROKEN, {"alive": False}, f"dead, to be started again: {BROKEN.error}"),
        (BROKEN, {"alive": False, "gave_up": True}, f"given up: {BROKEN.error}"),
    ],
)
def test_the_state_of_a_worker_is_said_in_words(
    state: m.WorkerState | None, fields: dict[str, object], text: str
) -> None:
    line = shown(state, **fields)
    assert f"  {text}  " in line
    assert line.startswith("editor-0  editor  cpu     checkpoint-7")
