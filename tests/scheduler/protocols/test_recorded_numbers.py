"""The same judgements give the numbers that the authors' scripts made of them.

``tests/data/protocols`` has tables of random dimension scores, and what the scripts, at the commit that each names,
printed for them. ``python -m scripts.official_proof PROOF ... --record FILE`` records them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.protocols.declaration import PROTOCOLS, ItemFacts, JudgedItem, Numbers, Table

DATA = Path(__file__).parents[2] / "data" / "protocols"


def tables(protocol: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DATA / f"{protocol}.json").read_text())
    return found


def free_table() -> dict[str, Any]:
    """The table of RISEBench where some items are free of consistency."""
    return next(table for table in tables("risebench") if "consistency_free" in table["columns"])


def numbers(protocol: str, table: dict[str, Any]) -> Numbers:
    rows = table["items"]
    rules = PROTOCOLS.get(protocol).make(
        Table(table.get("columns", {}), len(rows), table.get("format", protocol), table.get("kinds", {})), None
    )
    items = []
    for number, row in enumerate(rows):
        facts = {name: row[name] for name in row if name not in {"category", "dimensions"}}
        item = ItemFacts(
            row["category"],
            str(number),
            "",
            language=row.get("language"),
            task=row.get("task"),
            subsets=tuple(row.get("subsets", ())),
            facts=facts,
        )
        items.append(JudgedItem(item, row["dimensions"], rules.score(item, row["dimensions"])))
    return rules.numbers(items)


@pytest.mark.parametrize(
    ("protocol", "table"),
    [(protocol, table) for protocol in PROTOCOLS.names() for table in tables(protocol)],
    ids=lambda value: value if isinstance(value, str) else f"{value['commit'][:7]}-{len(value['items'])}",
)
def test_numbers_are_those_of_the_authors(protocol: str, table: dict[str, Any]) -> None:
    found = {
        name: value
        for name, value in numbers(protocol, table).values.items()
        if value is not None and not name.endswith("_corrected")
    }
    assert table["commit"] in PROTOCOLS.get(protocol).official.tried
    assert found == pytest.approx(table["numbers"], rel=0, abs=1e-9)


def test_where_some_items_are_free_of_consistency_the_faulty_weights_are_named_and_corrected() -> None:
    some = free_table()
    found = numbers("risebench", some)
    faulty = [row for row in some["items"] if row["category"] != "logical_reasoning" and "consistency_free" not in row]
    assert f"no weight in {len(faulty)} of {len(some['items'])} items" in found.deviations[0]
    spatial = [row for row in some["items"] if row["category"] == "spatial_reasoning"]

    def right(row: dict[str, Any]) -> float:
        read = row["dimensions"]
        score: float = 0.5 * read["Reasoning"] + 0.2 * read["VisualPlausibility"] + 0.3 * read.get("ApprConsistency", 0)
        if "consistency_free" in row:
            score = 0.8 * read["Reasoning"] + 0.2 * read["VisualPlausibility"]
        return max(1, score / 2) if read["Reasoning"] == 1 else score

    mean = sum(map(right, spatial)) / len(spatial)
    assert found.values["Spatial/Score-Origin_corrected"] == pytest.approx(mean)
    assert found.values["Spatial/Score-Percentage_corrected"] == pytest.approx(25 * (mean - 1))
    assert found.values["Spatial/Score-Origin"] != pytest.approx(mean)
    # Nothing is corrected that is right: logical items, and files where no item or every one is free.
    assert not [name for name in found.values if name.startswith("Logic") and name.endswith("_corrected")]
    all_free = {**some, "items": [{**row, "consistency_free": True} for row in some["items"]]}
    for table in (all_free, *(table for table in tables("risebench") if "consistency_free" not in table["columns"])):
        assert not [name for name in numbers("risebench", table).values if name.endswith("_corrected")]


def test_one_missing_score_leaves_the_numbers_of_its_groups_open() -> None:
    table = next(table for table in tables("risebench") if "reasoning_wo_ins" in table["columns"])
    rows = table["items"]
    rules = PROTOCOLS.get("risebench").make(Table(table["columns"], len(rows), table["format"]), None)
    items = [
        JudgedItem(
            ItemFacts(row["category"], str(number), "", task=row["task"]),
            row["dimensions"] if number else {"Reasoning": 5},
            3.0 if number else None,
        )
        for number, row in enumerate(rows)
    ]
    values = rules.numbers(items).values
    assert rows[0]["category"] == "temporal_reasoning"
    missing = {name for name, value in values.items() if value is None}
    assert {"Overall/Accuracy", "Temporal/Score-Origin", "Overall_Reasoning/Score-Origin"} <= missing
    assert f"Temp-{rows[0]['task']}/Accuracy" in missing
    assert not [name for name in missing if name.startswith(("Causal", "Spa", "Logic"))]
