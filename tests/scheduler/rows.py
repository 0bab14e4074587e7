"""Makes ledger rows for tests: the pair and what matters are given, everything else is filled in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from scheduler.report.build import build_report
from scheduler.report.json_form import to_json
from scheduler.report.model import Report
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, FailedRow, FailureStage, PlannedRow, Row, ScoredRow, StageRow


def planned(pair_id: str, category: str = "物理", *, loaded: bool = True) -> PlannedRow:
    return PlannedRow(
        category=category,
        pair_id=pair_id,
        source_sha256=sha(f"source {pair_id}") if loaded else None,
        instruction=f"edit {pair_id}",
        description=None,
    )


def edited(
    pair_id: str, category: str = "物理", *, sample: int = 0, identity: str = "A", sha256: str = ""
) -> EditedRow:
    return EditedRow(
        category=category,
        pair_id=pair_id,
        sample=sample,
        attempt=1,
        worker="editor-0",
        device="cuda:0",
        round=0,
        started=100.0,
        finished=101.5,
        identity=identity,
        image=f"images/{pair_id}.png",
        sha256=sha256 or sha(f"{pair_id} {sample} {identity}"),
        size=(64, 48),
        seed=sample,
    )


def scored(
    pair_id: str,
    score: float,
    category: str = "物理",
    *,
    sample: int = 0,
    pass_: int = 0,
    identity: str = "A",
    method: str = "json",
    **more: Any,
) -> ScoredRow:
    fields: dict[str, Any] = {
        "attempt": 1,
        "worker": "reward-0",
        "device": "cuda:1",
        "batch": 0,
        "started": 200.0,
        "finished": 200.5,
        "aspects": None,
        "response": "fine",
        **more,
    }
    return ScoredRow(
        category=category,
        pair_id=pair_id,
        sample=sample,
        pass_=pass_,
        identity=identity,
        score=score,
        method=method,
        **fields,
    )


def failed(
    pair_id: str,
    category: str = "物理",
    *,
    stage: FailureStage = "edit",
    kind: str = "oom",
    message: str = "out of memory",
    sample: int | None = 0,
    pass_: int | None = None,
    identity: str | None = None,
) -> FailedRow:
    return FailedRow(
        category=category,
        pair_id=pair_id,
        sample=sample,
        pass_=pass_,
        identity=identity,
        stage=stage,
        kind=kind,
        message=message,
    )


def stage_end(stage: Any, *, wall: float, device: float, workers: int, **more: Any) -> StageRow:
    fields: dict[str, Any] = {
        "rounds": 0,
        "barrier_wait_seconds": 0.0,
        "model_switches": 0,
        "model_switch_seconds": 0.0,
        "finished": 300.0,
        **more,
    }
    return StageRow(stage=stage, wall_seconds=wall, device_seconds=device, workers=workers, **fields)


def report_of(rows: Sequence[Row], *, manifest: dict[str, Any] | None = None, **expected: Any) -> Report:
    return build_report(iter(rows), manifest=manifest or {}, expected=Expected(**expected))


def json_of(report: Report) -> dict[str, Any]:
    """The JSON report, read back."""
    content: dict[str, Any] = json.loads(to_json(report))
    return content


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
