"""Tables of dimension scores with the numbers that the authors' scripts made of them: data for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.official_proof.declaration import Place

_HEAD = ("commit", "format", "columns", "kinds")
_FACTS = ("language", "task", "subsets")


def record(file: Path, place: Place, commit: str | None, numbers: Mapping[str, float]) -> None:
    """Write the table of this proof's runs, in the place of the one of the same commit, format and columns."""
    runs = sorted(place.folder.glob("run-*/runs/*"))
    data = json.loads((runs[0] / "manifest.json").read_text(encoding="utf-8"))["official"]["table"]
    table = {name: data[name] for name in _HEAD if name in data} | {"commit": commit}
    items = [_item(row) for run in runs for row in _scored(run / "results.jsonl")]
    others = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    tables = [other for other in others if any(other.get(name, value) != value for name, value in table.items())]
    tables.append({**table, "items": items, "numbers": numbers})
    tables.sort(key=lambda table: (table["format"], json.dumps(table["columns"])))
    text = ",\n".join(map(_as_text, tables))
    file.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def _as_text(table: Mapping[str, Any]) -> str:
    rows = ",\n   ".join(json.dumps(item, ensure_ascii=False) for item in table["items"])
    head = "\n".join(f"  {json.dumps(name)}: {json.dumps(table[name])}," for name in _HEAD if name in table)
    return f' {{\n{head}\n  "items": [\n   {rows}\n  ],\n  "numbers": {json.dumps(table["numbers"])}\n }}'


def _scored(ledger: Path) -> list[dict[str, Any]]:
    """The planned rows of a run, each with the dimensions of its score."""
    rows = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    scored = {(row["category"], row["pair_id"]): row["dimensions"] for row in rows if row["event"] == "scored"}
    return [{**row, "dimensions": scored[row["category"], row["pair_id"]]} for row in rows if row["event"] == "planned"]


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    item = {"category": row["category"], "dimensions": dict(sorted(row["dimensions"].items()))}
    item |= {name: row[name] for name in _FACTS if row.get(name)}
    # Whether they are there decides what is asked; their text does not matter.
    facts = row.get("facts") or {}
    item |= {name: None for name in ("reasoning_points",) if name in facts}
    return item | {name: facts[name] for name in ("consistency_free",) if name in facts}
