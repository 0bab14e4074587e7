"""The schema of the JSON report, which is shipped: it describes every report, and every key of one.

It is made from the report's types: after a change of these run ``RECORD=1 python -m pytest`` with this file.
"""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scheduler.report.json_form import report_schema, to_json
from scheduler.report.model import Report
from scheduler.store.rows import Row
from tests.recorded import assert_as_recorded
from tests.scheduler.report.json_schema import lines, schema_errors
from tests.scheduler.rows import edited, failed, planned, report_of, scored, stage_end

SCHEMA = resources.files("scheduler.report") / "report_schema.json"


def schema() -> dict[str, Any]:
    """The schema as it is installed."""
    content: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return content


def problems(report: dict[str, Any]) -> list[str]:
    """The errors of a report by the schema, with keys that the schema does not describe."""
    return schema_errors(report, schema())


ROWS: list[Row] = [
    planned("1"),
    planned("2"),
    planned("3", loaded=False),
    planned("4", "指代"),
    failed("3", stage="load", kind="bad_image", message="no image", sample=None),
    edited("1"),
    edited("1", sample=1),
    scored("1", 7.0, aspects={"look": 7.0}),
    scored("1", 8.0, sample=1, response=None, method="logits"),
    failed("2"),
    edited("4", "指代"),
    stage_end("edit", wall=10.0, device=8.0, workers=1, rounds=2),
    stage_end("score", wall=10.0, device=8.0, workers=1),
]
REPORTS = {
    "nothing": report_of([]),
    "planned": report_of(ROWS[:4]),
    "complete": report_of([ROWS[0], *ROWS[5:6], *ROWS[7:8]], manifest={"run": "x", "devices": {"editors": ["cpu"]}}),
    "partly failed": report_of(ROWS, manifest={"notes": ["simulated"]}, samples_per_pair=2),
    "edits alone": report_of(ROWS, stages=("edit",)),
    "two samples": report_of([ROWS[0], *ROWS[5:9]], samples_per_pair=2),
    "two passes": report_of([ROWS[0], *ROWS[5:6], ROWS[7], scored("1", 8.0, pass_=1)], reward_passes=2),
}


def test_the_schema_that_is_shipped_is_valid_and_that_of_the_reports_types() -> None:
    Draft202012Validator.check_schema(schema())
    assert_as_recorded(Path(str(SCHEMA)), lines(report_schema()) + "\n")


@pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
def test_every_report_is_as_the_schema_says_and_has_no_key_that_it_does_not_name(report: Report) -> None:
    assert problems(json.loads(to_json(report))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), "DONE"),
        (("summary", "total_pairs"), None),
        (("summary", "overall_mean"), "7.0"),
        (("overall", "macro_mean"), ...),
        (("overall", "ci95"), [1.0]),
        (("overall", "surprise"), 1),
        (("category_statistics", "物理", "std"), ...),
        (("category_statistics", "物理", "num_failed"), -1),
        (("failures", 0, "stage"), "loading"),
        (("failures", 0, "message"), ...),
        (("pairs", 0, "score"), None),
        (("pairs", 1, "score"), 0.0),
        (("pairs", 0, "status"), "fine"),
        (("pairs", 0, "samples", 0, "sha256"), "abc"),
        (("pairs", 0, "samples", 0, "scores", 0, "score"), None),
        (("performance", "edit", "efficiency"), ...),
        (("provenance", "scoring_methods"), {"json": "2"}),
        (("pairs", 0, "samples", 0, "surprise"), 1),
        (("variance", "se_repeat"), -1.0),
        (("variance", "editing", "includes"), ["between_pairs"]),
        (("variance", "editing", "surprise"), 1),
        (("overall", "aspects", "look"), {"mean": 7.0}),
    ],
)
def test_a_report_that_breaks_the_contract_does_not_pass(path: tuple[Any, ...], value: Any) -> None:
    report = json.loads(to_json(REPORTS["partly failed"]))
    place = broken = copy.deepcopy(report)
    for name in path[:-1]:
        place = place[name]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert problems(broken)
