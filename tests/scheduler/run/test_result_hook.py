"""The command after a run: what it gets to know, and that nothing it does concerns the run."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from scheduler.report.build import build_report
from scheduler.run.result_hook import ResultHook, result_variables
from scheduler.store.results import Expected
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, planned, scored
from tests.waiting import wait_until


def test_it_gets_the_figures_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-secret")
    command = ("sh", "-c", 'env > "$0"', str(tmp_path / "seen"))
    ResultHook(command, secrets={"JUDGE_KEY"})({"WARMBENCH_MEAN": "4.5"})
    seen = (tmp_path / "seen").read_text(encoding="utf-8").splitlines()
    assert "WARMBENCH_MEAN=4.5" in seen
    assert f"PATH={os.environ['PATH']}" in seen
    assert not any("sk-secret" in line or line.startswith("JUDGE_KEY") for line in seen)


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    ResultHook(("touch", f"{tmp_path}/a; touch {tmp_path}/b"))({})
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("sh", "-c", "exit 7"), "sh -c 'exit 7' ended with exit code 7"),
        (("/nowhere/notify",), "/nowhere/notify could not be started: "),
        (("sleep", "600"), "sleep 600 was ended after 0.1s"),
    ],
)
def test_its_failure_is_a_line_in_the_log(
    command: tuple[str, ...], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    ResultHook(command, timeout_seconds=0.1)({})
    (line,) = caplog.messages
    assert line.startswith(f"--on-result: {said}")


def test_ctrl_c_ends_all_that_it_has_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = ("sh", "-c", 'sleep 600 & echo $! > "$0.new"; mv "$0.new" "$0"; wait', str(pid))

    def interrupt() -> None:
        wait_until(pid.exists)
        os.kill(os.getpid(), signal.SIGINT)

    started = threading.Thread(target=interrupt)
    started.start()
    with pytest.raises(KeyboardInterrupt):
        ResultHook(command)({})
    started.join()
    wait_until(lambda: not psutil.pid_exists(int(pid.read_text(encoding="ascii"))))


def test_ctrl_c_while_it_is_being_started_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ResultHook(("sleep", "600"))({})
    assert started[0].poll() == -signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_variables_say_what_a_program_wants_to_know_of_a_run(tmp_path: Path) -> None:
    rows: list[Row] = [
        planned("1"),
        edited("1"),
        scored("1", 4.0),
        planned("2"),
        edited("2"),
        scored("2", 6.0),
        planned("3"),
    ]
    manifest = {"editor": {"model_name": "out/checkpoint-900"}}
    report = build_report(rows, manifest=manifest, expected=Expected())
    variables = result_variables(report, tmp_path / "runs" / "20261121_091500", tmp_path, 3)
    low, high = float(variables.pop("WARMBENCH_MEAN_LOW")), float(variables.pop("WARMBENCH_MEAN_HIGH"))
    assert low < 5.0 < high
    assert variables == {
        "WARMBENCH_RUN": "20261121_091500",
        "WARMBENCH_RUN_DIRECTORY": str(tmp_path / "runs" / "20261121_091500"),
        "WARMBENCH_REPORT": str(tmp_path / "evaluation_report_20261121_091500.json"),
        "WARMBENCH_TITLE": "out/checkpoint-900",
        "WARMBENCH_CHECKPOINT": "out/checkpoint-900",
        "WARMBENCH_STEP": "900",
        "WARMBENCH_STATUS": "INCOMPLETE",
        "WARMBENCH_EXIT_CODE": "3",
        "WARMBENCH_PAIRS": "3",
        "WARMBENCH_SCORED": "2",
        "WARMBENCH_FAILED": "0",
        "WARMBENCH_MISSING": "1",
        "WARMBENCH_MEAN": "5.0",
        "WARMBENCH_OFFICIAL_NAME": "",
        "WARMBENCH_OFFICIAL": "",
    }
