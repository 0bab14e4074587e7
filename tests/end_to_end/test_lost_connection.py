"""A terminal that goes away ends a run as SIGTERM does, and a warm pool not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.pool import read_pool_card
from tests.end_to_end.pools import gate_closed, gated, pids, pool_folder
from tests.harness import TIMEOUT, User, small_benchmark
from tests.waiting import wait_until


def start_in_terminal(user: User, *arguments: str | Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command in a terminal of its own; return it with the descriptor that keeps the terminal open."""
    keyboard, terminal = os.openpty()
    os.set_blocking(keyboard, False)
    command = ["setsid", "--ctty", sys.executable, "-m", "scheduler", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=user.folder, env=user.environment, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    return process, keyboard


def read_away(keyboard: int) -> None:
    """Read what the terminal shows: a command that cannot write waits."""
    with contextlib.suppress(BlockingIOError):
        while os.read(keyboard, 65536):
            pass


@pytest.mark.slow
def test_a_run_that_loses_its_terminal_finishes_its_work_and_its_warm_pool_stays(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=20), editor={"latency_ms": 200})
    process, keyboard = start_in_terminal(user, "run", "--config", config, "--keep-warm")

    def some_are_edited() -> bool:
        read_away(keyboard)
        return len(list(user.output.glob("runs/*/images/*/*.png"))) >= 3

    wait_until(some_are_edited)
    os.close(keyboard)
    assert process.wait(TIMEOUT) == 130

    report = user.report()
    assert report["status"] == "INCOMPLETE"
    assert 0 < report["overall"]["num_samples"] < 40
    assert report["overall"]["num_failed"] == 0
    (log,) = user.output.glob("logs/*.log")
    assert "Interrupted: the work on the devices is finished first" in log.read_text(encoding="utf-8")
    assert "To resume: " in log.read_text(encoding="utf-8")

    assert len(pids(user, config)) == 3, "the workers have survived the terminal"
    launcher = read_pool_card(pool_folder(user, config))
    assert launcher is not None
    os.kill(launcher.pid, signal.SIGHUP)
    wait_until(lambda: user.left_over() == [])
    assert "the pool ends: signal SIGHUP" in (pool_folder(user, config) / "launcher.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_start_that_loses_its_terminal_while_models_load_stops_the_pool(user: User, tmp_path: Path) -> None:
    config = gated(user, small_benchmark(tmp_path / "data.json", pairs=1))
    with gate_closed(user):
        process, keyboard = start_in_terminal(user, "workers", "start", "--config", config, "--foreground")
        wait_until(lambda: read_pool_card(pool_folder(user, config)) is not None)
        read_away(keyboard)
        os.close(keyboard)
        assert process.wait(TIMEOUT) == 130
    wait_until(lambda: user.left_over() == [])
