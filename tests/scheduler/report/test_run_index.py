"""The list of runs: from an index that is never trusted over the files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scheduler.commands.main import main
from scheduler.report import run_index
from scheduler.report.run_index import INDEX, list_runs
from scheduler.report.saved_run import SavedRun
from scheduler.store.run_names import NoSuchRunError, locate_run

RECORDED = Path(__file__).resolve().parents[2] / "data" / "runs" / "simulated" / "results" / "runs" / "20260101_120000"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with two runs, the second of which has a name."""
    for stamp in ("20260101_120000", "20260102_120000"):
        shutil.copytree(RECORDED, tmp_path / "runs" / stamp)
    change(tmp_path, "20260102_120000", name="second try")
    return tmp_path


def change(output: Path, stamp: str, **fields: object) -> None:
    path = output / "runs" / stamp / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")


def counted_reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each run whose ledger is read."""
    read: list[str] = []
    summarize = run_index.summarize

    def noting(run: SavedRun) -> run_index.RunSummary:
        read.append(run.stamp)
        return summarize(run)

    monkeypatch.setattr(run_index, "summarize", noting)
    return read


def test_runs_are_summed_up_the_newest_last(output: Path) -> None:
    runs, problems = list_runs(output)
    assert problems == []
    assert [(run.run, run.title, run.status) for run in runs] == [
        ("20260101_120000", "simulated", "COMPLETE"),
        ("20260102_120000", "second try", "COMPLETE"),
    ]
    assert (runs[0].num_pairs, runs[0].num_scored, runs[0].protocol) == (4, 4, None)
    assert runs[0].mean is not None


def test_only_runs_whose_files_have_changed_are_read_again(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted_reports(monkeypatch)
    list_runs(output)
    assert len(read) == 2
    read.clear()
    first, _ = list_runs(output)
    assert read == []
    change(output, "20260101_120000", name="renamed")
    again, _ = list_runs(output)
    assert read == ["20260101_120000"]
    assert (again[0].title, again[1]) == ("renamed", first[1])
    (output / "runs" / INDEX).write_text("no index", encoding="utf-8")
    read.clear()
    assert list_runs(output)[0] == again
    assert len(read) == 2
    shutil.rmtree(output / "runs" / "20260101_120000")
    assert [run.run for run in list_runs(output)[0]] == ["20260102_120000"]


def test_the_command_lists_sorts_and_selects(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--output-dir", str(output), "--sort", "title"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "COMPLETE" in line]
    assert ["second try" in line for line in lines] == [True, False]
    assert main(["runs", "--output-dir", str(output), "--json", "--benchmark", "no such benchmark"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["runs", "--output-dir", str(output / "nowhere")]) == 0
    assert "There is no run in" in capsys.readouterr().out


def test_a_run_is_found_by_its_title_where_it_is_unambiguous(output: Path) -> None:
    assert locate_run("second try", output).name == "20260102_120000"
    assert locate_run("20260101_120000", output).name == "20260101_120000"
    change(output, "20260101_120000", name="second try")
    with pytest.raises(NoSuchRunError, match=r"several runs .*: 20260101_120000, 20260102_120000"):
        locate_run("second try", output)
