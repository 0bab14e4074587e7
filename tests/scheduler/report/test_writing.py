"""Report files: named by the run, strict JSON as people can read it, whole or not there at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.model import Report
from scheduler.report.writing import UnwrittenError, write_reports
from tests.scheduler.rows import edited, json_of, planned, report_of, scored

STAMP = "20251023_230000"


@pytest.fixture
def report() -> Report:
    return report_of([planned("1"), edited("1"), scored("1", 7.25, response="很好\u2028")])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "runs" / STAMP
    folder.mkdir(parents=True)
    return folder


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_all_files_have_the_stamp_or_are_with_the_run_and_nothing_else_is_left(report: Report, run: Path) -> None:
    output = run.parent.parent
    paths = write_reports(report, output, run, DEFAULT_METRICS)

    reports = [output / f"evaluation_report_{STAMP}.{kind}" for kind in ("json", "md", "html")]
    names = [*reports, run / "pairs.csv"]
    assert paths == names
    assert files_in(output) == sorted(names)


def test_the_json_is_readable_and_says_what_the_report_says(report: Report, run: Path, tmp_path: Path) -> None:
    text = write_reports(report, tmp_path, run, DEFAULT_METRICS)[0].read_text(encoding="utf-8")

    assert json.loads(text) == json_of(report)
    assert '\n  "summary": {\n    "total_pairs": 1,\n' in text
    assert '"物理": {' in text


def test_a_second_report_of_the_same_run_replaces_the_first(report: Report, run: Path, tmp_path: Path) -> None:
    write_reports(report_of([]), tmp_path, run, DEFAULT_METRICS)
    path, *_ = write_reports(report, tmp_path, run, DEFAULT_METRICS)
    assert json.loads(path.read_text(encoding="utf-8"))["status"] == "COMPLETE"


def test_what_can_not_be_written_leaves_no_half_file_and_the_others_are_written(report: Report, run: Path) -> None:
    output = run.parent.parent
    blocked = output / f"evaluation_report_{STAMP}.json"
    blocked.mkdir()
    with pytest.raises(UnwrittenError, match=f"^{blocked}: Is a directory$") as caught:
        write_reports(report, output, run, DEFAULT_METRICS)
    assert files_in(output) == sorted(caught.value.written)
    assert [path.suffix for path in caught.value.written] == [".md", ".html", ".csv"]


@pytest.mark.parametrize("name", [".", "a\\b", "a\nb"])
def test_a_stamp_that_is_no_plain_name_writes_nothing(report: Report, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        write_reports(report, tmp_path, Path(name), DEFAULT_METRICS)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_metric_writes_nothing(report: Report, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'variance'"):
        write_reports(report, tmp_path, run, ["variance"])
    assert files_in(tmp_path) == []
