"""Tables of dimension scores with the numbers that the authors' scripts made of them: data for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.official_proof.declaration import Place

_FACTS = ("language", "task", "subsets")


def record(file: Path, place: Place, commit: str | None, numbers: Mapping[str, float]) -> None:
    """Write the table of this proof's runs, an item a line."""
    items = [
        _item(row) for ledger in sorted(place.folder.glob("run-*/runs/*/results.jsonl")) for row in _scored(ledger)
    ]
    rows = ",\n   ".join(json.dumps(item, ensure_ascii=False) for item in items)
    table = f'  "commit": {json.dumps(commit)},\n  "items": [\n   {rows}\n  ],\n  "numbers": {json.dumps(numbers)}'
    file.write_text(f"[\n {{\n{table}\n }}\n]\n", encoding="utf-8")


def _scored(ledger: Path) -> list[dict[str, Any]]:
    """The planned rows of a run, each with the dimensions of its score."""
    rows = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    scored = {(row["category"], row["pair_id"]): row["dimensions"] for row in rows if row["event"] == "scored"}
    return [{**row, "dimensions": scored[row["category"], row["pair_id"]]} for row in rows if row["event"] == "planned"]


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    item = {"category": row["category"], "dimensions": row["dimensions"]}
    item |= {name: row[name] for name in _FACTS if row.get(name)}
    # Whether they are there decides what is asked; their text does not matter.
    return item | {name: None for name in ("reasoning_points",) if name in (row.get("facts") or {})}
