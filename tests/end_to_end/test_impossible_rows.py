"""A ledger that was changed by hand, and an output that cannot be written, are reported; results stay right."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import TIMEOUT, User, small_benchmark


@pytest.mark.slow
@pytest.mark.warm
def test_a_resumed_run_does_again_what_its_ledger_cannot_have(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    assert user.run_config(config).code == 0
    before = user.report()["pairs"]
    ledger = user.run_folder() / "results.jsonl"
    rows = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    scored = [row for row in rows if row["event"] == "scored"]
    edited = [row for row in rows if row["event"] == "edited"]
    scored[0]["score"] = 99.0
    other = next(row for row in edited if row["pair_id"] != scored[0]["pair_id"])
    other["image"] = "../../../../../etc/passwd"
    ledger.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    result = user.check("report", "latest")
    assert result.code == 3, result.output
    assert "WARNING: The ledger has 2 impossible rows, not used: " in result.output
    assert {failure["kind"] for failure in user.report()["failures"]} == {"out_of_range", "outside_run"}
    result = user.run_config(config, "--resume", "latest")
    assert result.code == 0, result.output
    assert "To edit: 1 (1 failed before)" in result.output
    assert [pair["score"] for pair in user.report()["pairs"]] == [pair["score"] for pair in before]


@pytest.mark.slow
@pytest.mark.warm
def test_a_run_whose_output_cannot_be_written_leaves_its_reports_and_one_line(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2))
    command = [sys.executable, "-m", "scheduler", "run", "--config", str(config), *user.pool_options]
    result = subprocess.run(
        ["bash", "-c", f"exec {shlex.join(command)} >/dev/full"],
        cwd=user.folder,
        env=user.environment,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        timeout=TIMEOUT,
    )
    line = "warmbench: standard output cannot be written, so nothing more is shown: No space left on device\n"
    assert (result.returncode, result.stderr) == (0, line)
    assert user.report()["status"] == "COMPLETE"
