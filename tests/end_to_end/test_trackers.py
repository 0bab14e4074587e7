"""Runs tell trackers what they found, and do not depend on them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import User, small_benchmark
from tests.scheduler.trackers.plug_in import install_lines_tracker

pytestmark = pytest.mark.slow


def lines_of(folder: Path) -> list[list[str]]:
    """What the tracker has written: titles and steps."""
    return [line.split()[:2] for line in (folder / "lines.txt").read_text(encoding="utf-8").splitlines()]


@pytest.mark.warm
def test_each_run_of_a_sweep_is_sent_with_its_step_and_can_be_sent_again(user: User, tmp_path: Path) -> None:
    user.environment["PYTHONPATH"] = str(install_lines_tracker(tmp_path / "site"))
    lines = {"file": str(tmp_path / "lines.txt")}
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), trackers={"lines": lines})
    result = user.run_config(config, "--editor-models", "out/checkpoint-200", "out/checkpoint-100")
    assert result.code == 0, result.output
    runs = [["out/checkpoint-100", "100"], ["out/checkpoint-200", "200"]]
    assert lines_of(tmp_path) == runs
    for title, _ in runs:
        assert f"Sent to lines: {title}, the file" in result.output

    again = user.run("report", "out/checkpoint-100", "--output-dir", user.output, "--send")
    assert again.code == 0, again.output
    assert lines_of(tmp_path) == [*runs, runs[0]]

    other = user.config("other", trackers={"lines": {**lines, "does": "raise"}})
    refused = user.run("report", "latest", "--output-dir", user.output, "--send", "--config", other)
    assert refused.code == 1, refused.output
    assert "Not sent to lines: out/checkpoint-200 (ValueError: refused for" in refused.output
    none = user.run("report", "latest", "--output-dir", user.output, "--send", "--config", user.config("none"))
    assert none.code == 2
    assert "none.yaml names no tracker" in none.output


@pytest.mark.warm
def test_a_run_whose_tracker_fails_ends_as_if_there_were_none(user: User, tmp_path: Path) -> None:
    user.environment["PYTHONPATH"] = str(install_lines_tracker(tmp_path / "site"))
    lines = {"file": str(tmp_path / "lines.txt"), "does": "hang", "timeout_seconds": 8.0}
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), trackers={"lines": lines})
    result = user.run_config(config)
    assert result.code == 0, result.output
    assert user.report()["status"] == "COMPLETE"
    assert result.output.count("Not sent to lines") == 1
    assert re.search(r"\(it took longer than [78]\.\ds\)\. The results are in its report", result.output)
    assert not [process for process in user.processes() if "scheduler.trackers" in " ".join(process.cmdline())]
