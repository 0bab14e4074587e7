"""However a run ends, it says so, keeps what it has, and leaves no process behind."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import TIMEOUT, User, small_benchmark
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
Faults = Mapping[str, Sequence[str]]


def role_processes(user: User, name: str) -> list[psutil.Process]:
    return [process for process in user.processes() if name in " ".join(process.cmdline())]


def finish(process: subprocess.Popen[str]) -> str:
    with process:
        output, _ = process.communicate(timeout=TIMEOUT)
    return output


def started_run(
    user: User, data: Path, *, pairs: int = 20, latency_ms: int = 200, faults: Faults | None = None, **sections: Any
) -> subprocess.Popen[str]:
    """A run that has delivered its first edits and is busy with the next."""
    editor = {"latency_ms": latency_ms, "faults": faults or {}}
    config = user.simulated(small_benchmark(data, pairs=pairs), editor=editor, **sections)
    process = user.start("run", "--config", config)
    wait_until(lambda: user.count("edited") >= 3)
    return process


@pytest.mark.slow
def test_ctrl_c_finishes_what_is_on_the_devices_and_writes_a_partial_report(user: User, tmp_path: Path) -> None:
    process = started_run(user, tmp_path / "data.json")
    process.send_signal(signal.SIGINT)
    output = finish(process)

    assert process.returncode == 130, output
    report = user.report()
    assert report["status"] == "INCOMPLETE"
    assert 0 < report["overall"]["num_samples"] < 40
    assert report["overall"]["num_failed"] == 0, "what was not begun has not failed"
    assert len(user.rows("edited")) == len({(row["category"], row["pair_id"]) for row in user.rows("edited")})
    assert user.left_over() == []


@pytest.mark.slow
def test_a_checkout_that_changes_during_a_run_does_not_change_the_run(user: User, tmp_path: Path) -> None:
    for package in ("protocol", "workers", "scheduler"):
        shutil.copytree(ROOT / package, tmp_path / "checkout" / package, ignore=shutil.ignore_patterns("__pycache__"))
    user.environment["PYTHONPATH"] = str(tmp_path / "checkout")
    process = started_run(user, tmp_path / "data.json", pairs=6, latency_ms=400)
    wait_until(lambda: user.count("edited") >= 7)  # it has imported what it needs since its first result, in a thread
    for module in (tmp_path / "checkout" / "scheduler").rglob("*.py"):
        module.write_text("raise SystemExit('another version')\n", encoding="utf-8")
    output = finish(process)

    assert process.returncode == 0, output
    assert user.report()["status"] == "COMPLETE"


@pytest.mark.slow
def test_ctrl_c_twice_stops_at_once(user: User, tmp_path: Path) -> None:
    process = started_run(user, tmp_path / "data.json", latency_ms=60_000 // 200)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    output = finish(process)

    assert process.returncode == 130, output
    wait_until(lambda: user.left_over() == [])


@pytest.mark.slow
def test_ctrl_c_while_models_load_ends_the_run(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"), editor={"load_seconds": 3})
    process = user.start("run", "--config", config)
    wait_until(lambda: len(user.processes()) >= 4)
    process.send_signal(signal.SIGINT)
    output = finish(process)

    assert process.returncode == 130, output
    assert user.report()["overall"]["num_missing"] == 8
    wait_until(lambda: user.left_over() == [])


@pytest.mark.slow
def test_a_scheduler_that_is_killed_takes_its_pool_with_it(user: User, tmp_path: Path) -> None:
    process = started_run(user, tmp_path / "data.json")
    process.kill()
    finish(process)

    wait_until(lambda: user.left_over() == [])


@pytest.mark.slow
def test_a_killed_editor_is_replaced_and_no_pair_is_lost(user: User, tmp_path: Path) -> None:
    process = started_run(user, tmp_path / "data.json", pairs=10)
    victims = role_processes(user, "editor-0")
    for victim in victims:
        victim.kill()
    output = finish(process)

    assert process.returncode == 0, output
    assert user.report()["status"] == "COMPLETE"
    assert len(user.rows("edited")) == 20
    assert user.left_over() == []


@pytest.mark.slow
def test_a_killed_reward_is_replaced_and_no_score_is_lost(user: User, tmp_path: Path) -> None:
    process = started_run(user, tmp_path / "data.json", pairs=10)
    for victim in role_processes(user, "reward-0"):
        victim.kill()
    output = finish(process)

    assert process.returncode == 0, output
    assert len(user.rows("scored")) == 20


@pytest.mark.slow
def test_when_the_launcher_is_killed_the_run_aborts_and_the_workers_end(user: User, tmp_path: Path) -> None:
    process = started_run(user, tmp_path / "data.json")
    for launcher in role_processes(user, "launch"):
        launcher.kill()
    output = finish(process)

    assert process.returncode == 1, output
    assert "launcher" in output
    assert user.report()["status"] == "INCOMPLETE"
    wait_until(lambda: user.processes() == [])


@pytest.mark.slow
def test_a_model_that_does_not_load_ends_the_run_with_the_reason_and_the_log(user: User, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from workers.interface import Editor, ModelError\n"
        "class Broken(Editor):\n"
        "    def load(self, residency):\n"
        "        raise ModelError('load', 'the checkpoint is half a checkpoint')\n"
        "    def edit(self, request, progress):\n"
        "        return request.image\n"
    )
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json"))},
        diffusion_model={"class_path": "mine.Broken", "params": {"device": "cpu"}},
        reward_model={"type": "simulated", "params": {"device": "cpu"}},
    )
    result = user.run_config(config)

    assert result.code == 1, result.output
    assert "half a checkpoint" in result.output
    assert "editor-0.log" in result.output
    assert user.report()["overall"]["num_missing"] == 8
    assert user.left_over() == []


@pytest.mark.warm
@pytest.mark.parametrize(("fault", "kind"), [("error", "error"), ("oom", "oom")])
def test_a_pair_that_fails_is_recorded_with_its_reason_and_the_others_are_scored(
    user: User, tmp_path: Path, fault: str, kind: str
) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"), editor={"faults": {fault: ["物理/1"]}})
    result = user.run_config(config)

    assert result.code == 3, result.output
    report = user.report()
    assert [
        (failure["category"], failure["pair_id"], failure["stage"], failure["kind"]) for failure in report["failures"]
    ] == [("物理", "1", "edit", kind)]
    assert report["overall"]["num_samples"] == 7
    attempts = user.rows("failed")[0]["attempt"]
    assert attempts == (3 if fault == "error" else 1), "an error is tried again, memory was tried twice on the worker"


@pytest.mark.slow
@pytest.mark.warm
def test_a_score_that_fails_is_missing_and_never_zero(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"), reward={"faults": {"error": ["spatial/2"]}})
    result = user.run_config(config)

    assert result.code == 3, result.output
    pairs = {f"{pair['category']}/{pair['pair_id']}": pair for pair in user.report()["pairs"]}
    assert pairs["spatial/2"]["status"] == "failed"
    assert pairs["spatial/2"]["score"] is None
    assert sum(pair["score"] is not None for pair in pairs.values()) == 7, "its batch is not lost with it"


@pytest.mark.slow
@pytest.mark.warm
def test_too_many_failures_end_the_run(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json", pairs=20),
        editor={"faults": {"error": 1.0}},
        scheduler={"max_failures": 2},
    )
    result = user.run_config(config)

    assert result.code == 1, result.output
    assert "more than the limit of 2" in result.output
    assert len(user.rows("failed")) < 20


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_a_clear_message_and_it_resumes_when_there_is_space(
    user: User, tmp_path: Path
) -> None:
    # In namespaces of its own, where anybody may mount a small file system.
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespaces, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this system lets nobody have a user namespace, so no small file system can be mounted")
    user.output.mkdir()
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=40, size=(300, 300)))
    run = shlex.join([sys.executable, "-m", "scheduler", "run", "--config", str(config)])
    script = f"""
        mount -t tmpfs -o size=200k tmpfs {user.output} || exit 99
        {run}; echo "first: $?"
        mount -o remount,size=100m {user.output} || exit 99
        {run} --resume latest; echo "second: $?"
        cp {user.output}/evaluation_report_*.json {user.output}/runs/*/results.jsonl {tmp_path}
    """
    result = subprocess.run(
        [*namespaces, "bash", "-c", script],
        check=False,
        cwd=tmp_path,
        env=user.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert "No space left" in result.stdout
    assert "--resume" in result.stdout.split("first: 1")[0]
    assert "second: 0" in result.stdout, result.stdout
    (report,) = tmp_path.glob("evaluation_report_*.json")
    assert json.loads(report.read_text(encoding="utf-8"))["overall"]["num_samples"] == 80
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    edits = [(row["category"], row["pair_id"]) for row in rows if row["event"] == "edited"]
    assert len(edits) == len(set(edits)) == 80
    wait_until(lambda: user.left_over() == [])
