"""Writes run directories for tests: what a run leaves, without the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from scheduler.store.rows import Row, encode_row


def saved_run(
    output_dir: Path,
    rows: Sequence[Row],
    *,
    stamp: str = "20251023_230000",
    manifest: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    end: bytes = b"",
) -> Path:
    """The directory of a run; ``end`` comes behind the ledger's last row."""
    path = output_dir / "runs" / stamp
    path.mkdir(parents=True)
    (path / "results.jsonl").write_bytes(b"".join(map(encode_row, rows)) + end)
    if manifest is not None:
        (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    if config is not None:
        (path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
