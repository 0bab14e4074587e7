"""A run is read from its directory, whatever is missing there and whoever writes in it."""

from __future__ import annotations

import io
import json
import logging
import threading
from pathlib import Path

import pytest
from rich.console import Console

from scheduler.commands.report import rebuild_reports
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.saved_run import open_run
from scheduler.store.rows import Row, encode_row
from scheduler.store.run_directory import reports_locked
from tests.scheduler.rows import edited, planned, scored
from tests.scheduler.saved import saved_run

ROWS: list[Row] = [planned("1"), edited("1"), scored("1", 7.0)]


def test_the_ledger_alone_makes_a_report(tmp_path: Path) -> None:
    run = open_run(str(saved_run(tmp_path, ROWS)), None)
    assert run.report().status == "COMPLETE"
    assert run.expected.samples_per_pair == run.expected.reward_passes == 1
    assert run.metrics == DEFAULT_METRICS
    assert run.output_dir == tmp_path
    assert run.is_running() is False
    assert run.log is None


def test_what_the_manifest_lacks_the_config_says(tmp_path: Path) -> None:
    evaluation = {"samples_per_pair": 2, "reward_passes": 3, "metrics": ["median", "ci95"]}
    path = saved_run(tmp_path, ROWS, manifest={"reward_passes": 4}, config={"evaluation": evaluation})
    run = open_run(str(path), None)
    assert (run.expected.samples_per_pair, run.expected.reward_passes) == (2, 4)
    assert run.metrics == ("median", "ci95")
    assert run.report().overall.num_missing == 1


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff\xfe", b"a: &a [*a, *a]", b"evaluation: 7", b"- x"])
def test_a_broken_manifest_and_config_are_as_none(tmp_path: Path, content: bytes) -> None:
    path = saved_run(tmp_path, ROWS)
    (path / "manifest.json").write_bytes(content)
    (path / "config.yaml").write_bytes(content)
    assert open_run(str(path), None).report().status == "COMPLETE"


@pytest.mark.parametrize("evaluation", [{"samples_per_pair": 0}, {"samples_per_pair": "2"}, {"metrics": ["variance"]}])
def test_a_setting_that_can_not_be_is_passed_over(tmp_path: Path, evaluation: dict[str, object]) -> None:
    run = open_run(str(saved_run(tmp_path, ROWS, config={"evaluation": evaluation})), None)
    assert (run.expected.samples_per_pair, run.metrics) == (1, DEFAULT_METRICS)


@pytest.mark.parametrize(
    ("recorded", "stages"),
    [
        (["edit"], ("edit",)),
        (["score", "edit"], ("edit", "score")),
        (None, ("edit", "score")),
        ([{}], ("edit", "score")),
    ],
)
def test_what_its_last_part_was_asked_for_is_what_is_expected_of_a_run(
    tmp_path: Path, recorded: object, stages: tuple[str, ...]
) -> None:
    run = open_run(str(saved_run(tmp_path, ROWS[:2], manifest={"stages": recorded})), None)
    assert run.expected.stages == stages
    assert run.report().status == ("COMPLETE" if stages == ("edit",) else "INCOMPLETE")


def test_an_incomplete_last_line_is_ignored_and_a_broken_line_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("warmbench"), "propagate", True)
    torn = open_run(str(saved_run(tmp_path / "a", ROWS, end=b'{"event":"planned","category":"x","pa')), None)
    assert list(torn.rows()) == ROWS
    assert caplog.text == ""
    broken = open_run(str(saved_run(tmp_path / "b", ROWS, end=b"\0\0\n")), None)
    assert list(broken.rows()) == ROWS
    assert "line 4" in caplog.text


def test_a_run_that_was_moved_has_its_reports_beside_its_ledger_by_default(tmp_path: Path) -> None:
    path = saved_run(tmp_path / "outputs", ROWS).rename(tmp_path / "moved")
    assert open_run(str(path), None).output_dir == path
    assert open_run(str(path), tmp_path / "there").output_dir == tmp_path / "there"


def test_the_log_is_found_where_the_config_says_or_where_it_would_be(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = saved_run(tmp_path, ROWS, config={"logging": {"log_dir": str(elsewhere)}})
    assert open_run(str(path), None).log is None
    file = elsewhere / f"benchmark_{path.name}.log"
    file.touch()
    assert open_run(str(path), None).log == file


def test_a_report_that_waited_for_the_runs_own_says_nothing_older_than_that(tmp_path: Path) -> None:
    path = saved_run(tmp_path, ROWS[:1], manifest={"notes": ["begun"]})
    run = open_run(str(path), None)
    complete: list[str] = []
    thread = threading.Thread(target=lambda: complete.append(rebuild_reports(Console(file=io.StringIO()), run).status))
    with reports_locked(path, patient=False):
        thread.start()
        (path / "manifest.json").write_text('{"notes": ["ended"]}', encoding="utf-8")
        with (path / "results.jsonl").open("ab") as ledger:
            ledger.writelines(map(encode_row, ROWS[1:]))
    thread.join(timeout=30)
    assert complete == ["COMPLETE"]
    report = json.loads((tmp_path / f"evaluation_report_{path.name}.json").read_text(encoding="utf-8"))
    assert (report["notes"], report["status"]) == (["ended"], "COMPLETE")
