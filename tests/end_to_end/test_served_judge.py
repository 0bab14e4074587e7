"""A judge's server that a run starts: waited for, asked, killed in the middle, stopped; nothing of it is left."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import TIMEOUT, User, small_benchmark
from tests.server_processes import server_processes
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


def config(user: User, data: Path, command: list[str], **params: Any) -> Path:
    """Two simulated editors, and a judge behind a server of its own."""
    env = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": 1, "OMP_NUM_THREADS": 1}
    server = {"command": command, "env": env, "start_timeout_seconds": 120}
    return user.config(
        benchmark={"data_path": str(data)},
        diffusion_model={"type": "simulated", "params": {"device_ids": ["cpu", "cpu"], "latency_ms": 5}},
        reward_model={
            "type": "openai",
            "params": {"model_name": "judge", "server": server, "max_concurrency": 4, **params},
        },
    )


def scored(user: User) -> Counter[tuple[str, str]]:
    return Counter((row["category"], row["pair_id"]) for row in user.rows("scored"))


def run_with_server(user: User, path: Path, *, after: int, kill: bool) -> str:
    """Run, and look at the server's processes when so many scores are in the ledger, or kill the server. Returns what
    the run said.
    """
    with user.start_run(path) as run:
        wait_until(lambda: run.poll() is not None or user.count("scored") >= after, seconds=TIMEOUT)
        assert run.poll() is None, run.communicate()[0]
        first, *_ = processes = server_processes(user)
        if kill:
            os.kill(first.pid, signal.SIGKILL)
            wait_until(lambda: {*server_processes(user)} - {*processes}, seconds=TIMEOUT)
            processes += server_processes(user)
        output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, output
    assert not any(process.is_running() for process in processes)
    assert user.left_over() == []
    return output


def assert_each_is_scored_once(user: User, pairs: int) -> None:
    """None is lost and none is there twice, and the report is complete."""
    assert scored(user) == dict.fromkeys(scored(user), 1)
    assert scored(user).total() == 2 * pairs
    assert user.rows("failed") == []
    assert user.report()["status"] == "COMPLETE"


@pytest.mark.slow
def test_a_server_that_is_killed_in_the_middle_is_started_anew_and_what_it_was_asked_is_asked_again(
    user: User, tmp_path: Path
) -> None:
    server = [sys.executable, "-m", "tests.openai_server", "--port", "{port}", "--latency", "0.25"]
    path = config(user, small_benchmark(tmp_path / "data.json", pairs=8), server)
    output = run_with_server(user, path, after=3, kill=True)
    assert "its server has ended (SIGKILL)" in output
    assert_each_is_scored_once(user, pairs=8)
    judge = user.report()["performance"]["judge"]
    assert judge["requests"] >= 16
    assert judge["answered_by"] == [{"model": "judge-2026-01-01", "system_fingerprint": "fp_test", "num_answers": 16}]
    assert 0 < user.report()["performance"]["score"]["efficiency"] <= 1


@pytest.mark.slow
def test_transformers_serve_is_a_judges_server(user: User, tmp_path: Path, tiny_trained_reward_path: Path) -> None:
    model = str(tiny_trained_reward_path)
    address = ("--host", "127.0.0.1", "--port", "{port}")
    server = [sys.executable, "-m", "tests.transformers_serve", "serve", model, *address, "--device", "cpu"]
    path = config(user, small_benchmark(tmp_path / "data.json", pairs=4), server, model_name=model)
    run_with_server(user, path, after=1, kill=False)
    assert_each_is_scored_once(user, pairs=4)
    judge = user.report()["performance"]["judge"]
    assert [answered["model"] for answered in judge["answered_by"]] == [f"{model}@main"]
    assert judge["prompt_tokens"] > 0 < judge["completion_tokens"]
    log = user.folder / "outputs" / "logs"
    assert {row["method"] for row in user.rows("scored")} == {"json"}, log
