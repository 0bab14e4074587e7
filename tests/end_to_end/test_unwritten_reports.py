"""Reports that cannot be written: the exit code tells, the table is shown, and they are written later."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import TIMEOUT, Result, User, small_benchmark


def run_with_small_files(user: User, config: Path, kibibytes: int) -> Result:
    """A run that can write no file larger than this."""
    command = [sys.executable, "-m", "scheduler", "run", "--config", str(config), *user.pool_options]
    result = subprocess.run(
        ["bash", "-c", f"ulimit -f {kibibytes}; exec {shlex.join(command)}"],
        cwd=user.folder,
        env=user.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        errors="replace",
        timeout=TIMEOUT,
    )
    return Result(result.returncode, result.stdout)


@pytest.mark.slow
@pytest.mark.warm
def test_a_run_whose_reports_are_refused_says_so_and_shows_its_table(user: User, tmp_path: Path) -> None:
    result = run_with_small_files(user, user.simulated(small_benchmark(tmp_path / "data.json")), 40)

    assert result.code == 1, result.output
    assert re.search(r"The reports can't be written: \S+\.html: File too large", result.output)
    assert re.search(r"Overall .* 8 ", result.output), "the table is shown"
    assert "evaluation_report" in result.output.split("Reports saved to:")[1], "the others are written"
    assert list(user.output.glob("evaluation_report_*.html")) == []

    (command,) = re.findall(r"To write the reports: warmbench (.*)", result.output)
    result = user.check(*shlex.split(command))
    assert result.code == 0, result.output
    assert len(list(user.output.glob("evaluation_report_*.html"))) == 1
