"""The JSON report of a ledger that has everything in it is the one that was recorded: other programs rely on its keys.

``tests/data/report`` has what the report is made of: a ledger with samples, passes, aspects, failures of every stage,
withdrawn and missing results, and the scores of two people. ``tests/recorded.py`` says how to record ``report.json``
and ``pairs.csv`` again.
"""

from __future__ import annotations

import json
from typing import Any

from scheduler.report.build import build_report
from scheduler.report.json_form import to_json
from scheduler.report.model import Report
from scheduler.report.pairs_csv import pairs_csv
from scheduler.store.human_scores import read_human_scores
from scheduler.store.ledger import read_ledger
from scheduler.store.results import Expected
from tests.recorded import DATA, assert_as_recorded

FOLDER = DATA / "report"


def report() -> Report:
    return build_report(
        read_ledger(FOLDER / "results.jsonl"),
        manifest=json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8")),
        expected=Expected(samples_per_pair=2, reward_passes=2),
        human=read_human_scores(FOLDER / "human_scores.csv"),
    )


def rounded(value: Any) -> Any:
    """The last bits of a statistic are the libraries' own."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def test_the_json_report_is_as_recorded() -> None:
    content = rounded(json.loads(to_json(report())))
    assert_as_recorded(FOLDER / "report.json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def test_the_csv_of_pairs_is_as_recorded() -> None:
    assert_as_recorded(FOLDER / "pairs.csv", pairs_csv(report()).decode())
