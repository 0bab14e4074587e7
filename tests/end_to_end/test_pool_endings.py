"""However a pool ends, nothing is left, and the next start works."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from protocol.pool import read_pool_card
from tests.end_to_end.pools import finished, gate_closed, gated, is_planned, pids, pool_folder
from tests.harness import User, small_benchmark
from tests.waiting import wait_until

LOOPS = int(os.environ.get("WARMBENCH_TEST_LOOPS", "2"))
"""How often each kind of killing is tried in a row."""


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["launcher", "everybody", "workers"])
@pytest.mark.parametrize("when", ["idle", "loading"])
def test_whatever_is_killed_nothing_is_left_and_the_next_start_works(
    user: User, tmp_path: Path, victims: str, when: str
) -> None:
    loading = when == "loading"
    settings = {"load_seconds": 0.5 if loading else 0.0}
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), editor=settings)
    for _ in range(LOOPS):
        start = user.start("workers", "start", "--config", config)
        if loading:
            wait_until(lambda: len(user.processes()) >= 4)
        else:
            assert finished(start).code == 0
        for process in user.processes():
            _kill_if(process, victims)
        if loading:
            finished(start)
        if victims == "workers":
            assert user.run_config(config).code == 0, "they are started again"
            assert user.check("workers", "stop", "--config", config).code == 0
        wait_until(lambda: user.processes() == [])
    assert user.run_config(config).code == 0
    assert user.left_over() == []


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [False, True])
def test_workers_stop_removes_what_a_killed_launcher_left(user: User, tmp_path: Path, stopped: bool) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    assert user.run("workers", "start", "--config", config).code == 0
    workers = [process for process in user.processes() if "launcher of" not in " ".join(process.cmdline())]
    for process in workers:
        if stopped:
            process.suspend()  # it cannot notice the end of its launcher
    for process in user.processes():
        _kill_if(process, "launcher")
    wait_until(lambda: len(user.processes()) <= len(workers))
    assert user.left_over() != []

    result = user.check("workers", "stop", "--config", config)
    assert (result.code, "is not up" in result.output) == (0, True), result.output
    wait_until(lambda: user.left_over() == [])


@pytest.mark.slow
def test_a_run_whose_pool_ends_before_it_has_begun_completes_on_another(user: User, tmp_path: Path) -> None:
    config = gated(user, small_benchmark(tmp_path / "data.json"))
    with gate_closed(user):
        start = user.start("workers", "start", "--config", config)
        wait_until(lambda: read_pool_card(pool_folder(user, config)))
        run = user.start("run", "--config", config)
        # Its plan is recorded, its stages are on the screen, and all models are still being loaded.
        wait_until(lambda: is_planned(user))
        for process in user.processes():
            _kill_if(process, "launcher")
        finished(start)
    result = finished(run)

    assert result.code == 0, result.output
    assert "before this run began" in result.output
    assert "Launching pool" in result.output
    assert len(user.rows("planned")) == len(user.rows("scored")) == 8
    assert user.left_over() == []


def _kill_if(process: psutil.Process, victims: str) -> None:
    """Kill the process if it is meant. Others may end meanwhile, because of those that were killed."""
    with contextlib.suppress(psutil.Error):
        is_launcher = "launch" in " ".join(process.cmdline())
        if victims == "everybody" or is_launcher == (victims == "launcher"):
            process.kill()


@pytest.mark.slow
def test_a_pool_in_the_foreground_ends_when_interrupted(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    process = user.start("workers", "start", "--config", config, "--foreground")
    wait_until(lambda: len(pids(user, config)) == 3)
    assert user.run_config(config).code == 0
    process.send_signal(signal.SIGTERM)
    result = finished(process)

    assert result.code == 0, result.output
    assert user.left_over() == []
