"""The schema of ``series.json``, which is shipped: after a change of its types run ``RECORD=1 python -m pytest``."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from jsonschema import Draft202012Validator

from scheduler.report.json_form import schema_of
from scheduler.report.series.model import Series
from scheduler.report.series.writing import write_series
from tests.recorded import assert_as_recorded
from tests.scheduler.report.json_schema import lines, schema_errors
from tests.scheduler.report.series.runs import checkpoint, simulated_checkpoints

SCHEMA = Path(str(resources.files("scheduler.report.series") / "series_schema.json"))


def test_the_schema_that_is_shipped_is_valid_and_that_of_the_types_of_a_series() -> None:
    schema = schema_of(Series, "series.json of warmbench")
    Draft202012Validator.check_schema(schema)
    assert_as_recorded(SCHEMA, lines(schema) + "\n")


def test_a_series_is_as_the_schema_says_and_has_no_key_that_it_does_not_name(tmp_path: Path) -> None:
    runs = simulated_checkpoints(tmp_path, 3, 12)
    runs.append(checkpoint(tmp_path, "base", [None] * 12, stamp="20260101_130000", prompts_sha256="other"))
    written = write_series(runs, tmp_path / "series", plots=False)
    series = json.loads(written.paths[0].read_bytes())
    assert schema_errors(series, json.loads(SCHEMA.read_text())) == []
    assert len(series["runs"]) == 4
