"""The series of a watch: when it is written, when its plots are, and what it does to the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.commands.watch_series import WatchSeries
from scheduler.report.series.gate import GateRule
from tests.scheduler.report.series.runs import checkpoint


def runs_of(tmp_path: Path, *scores: float) -> list[Path]:
    return [
        checkpoint(tmp_path, f"out/step-{number}", [score, score + 0.1, score - 0.1], stamp=f"20260101_00000{number}")
        for number, score in enumerate(scores, start=1)
    ]


@pytest.mark.slow
def test_it_is_written_once_after_each_run_and_its_plots_when_nothing_else_is_to_be_done(tmp_path: Path) -> None:
    runs, to = runs_of(tmp_path, 5, 6), tmp_path / "series"
    series = WatchSeries(to, None)
    assert series.write(runs, plots=False) == [], "nothing has ended"
    series.outdated()
    assert series.write([], plots=True) == []
    assert series.write(runs, plots=False) == [f"Series of 2 runs: {to}"]
    written = (to / "series.json").stat().st_mtime_ns
    assert not list(to.glob("*.svg"))
    assert series.write(runs, plots=False) == []
    assert (to / "series.json").stat().st_mtime_ns == written
    assert series.write(runs, plots=True) == [], "that was said"
    assert list(to.glob("*.svg"))
    assert series.codes == set()


def test_the_gate_and_files_that_cannot_be_written_decide_about_the_exit_code(tmp_path: Path) -> None:
    def told(name: str, *scores: float) -> tuple[str, set[int]]:
        series = WatchSeries(tmp_path / name / "series", GateRule(0.5))
        series.outdated()
        lines = series.write(runs_of(tmp_path / name, *scores), plots=False)
        return lines[-1] if lines else "", series.codes

    better, worse, alone = told("better", 5, 6), told("worse", 6, 5), told("alone", 5)
    assert [codes for _, codes in (better, worse, alone)] == [set(), {4}, set()]
    assert "out/step-2 against out/step-1 (previous): WORSE by more than 0.5" in worse[0]
    assert told("none") == ("", {3}), "nothing was compared"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "series").touch()
    line, codes = told("full", 5, 6)
    assert "The series can't be written" in line
    assert 1 in codes
