"""What a launcher's reports become in the log."""

from __future__ import annotations

import pytest

from protocol import messages as m
from scheduler.pool.watch import PoolWatch

SPEC = m.ModelSpec(role="editor", type="qwen_image_edit", name="/models/edit")
MODEL = m.LoadedModel(spec=SPEC, fingerprint="0" * 64, size_bytes=57_700_000_000, load_seconds=31.04)


def report(phase: m.Phase, residency: m.Residency, model: m.LoadedModel | None = None) -> m.PoolStatus:
    worker = m.WorkerStatus(
        worker_id="editor-0",
        role="editor",
        device="cuda:0",
        pid=7,
        alive=True,
        spec=SPEC,
        incarnation="a",
        endpoint="ipc:///a",
        log="/editor-0.log",
        started=0.0,
        state=m.WorkerState(phase=phase, residency=residency, model=model),
    )
    return m.PoolStatus(run="run", incarnation="b", workers=[worker], holders=[], waiting=[], keep=True, stopping=False)


@pytest.mark.parametrize(
    ("residency", "text"),
    [
        ("device", "model loaded [1/1] (57.7 GB in 31.0 s)"),
        ("host", "model loaded into host memory [1/1] (57.7 GB in 31.0 s)"),
        ("disk", "model checked, and left on disk until its turn [1/1] (57.7 GB in 31.0 s)"),
    ],
)
def test_a_model_counts_as_loaded_only_where_its_weights_were_read(residency: m.Residency, text: str) -> None:
    watch = PoolWatch()
    assert watch.update(report("waiting", "disk")) == []
    assert [line.text for line in watch.update(report("ready", residency, MODEL))] == [f"editor-0 on cuda:0: {text}"]
    assert watch.update(report("ready", residency, MODEL)) == []
