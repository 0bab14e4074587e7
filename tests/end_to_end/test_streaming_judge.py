"""A run whose judge works on many requests at once: it stops at its limit, is interrupted, and loses its worker."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.harness import TIMEOUT, User, small_benchmark
from tests.openai_server import OpenAIServer
from tests.waiting import wait_until

PAIRS = 25


def config(user: User, folder: Path, server: OpenAIServer, **params: object) -> Path:
    """Two simulated editors, and a judge that has up to eight requests in flight."""
    data = small_benchmark(folder / "data.json", pairs=PAIRS)
    judge = {"model_name": "judge", "base_url": server.base_url, "max_concurrency": 8, **params}
    return user.config(
        benchmark={"data_path": str(data)},
        diffusion_model={"type": "simulated", "params": {"device_ids": ["cpu", "cpu"], "latency_ms": 5}},
        reward_model={"type": "openai", "params": judge},
    )


def assert_each_is_scored_once(user: User) -> None:
    scored = Counter((row["category"], row["pair_id"]) for row in user.rows("scored"))
    assert scored == dict.fromkeys(scored, 1)
    assert scored.total() == 2 * PAIRS
    assert user.rows("failed") == []
    assert user.report()["status"] == "COMPLETE"


@pytest.mark.slow
def test_a_run_stops_when_it_has_made_its_requests_and_a_resumed_run_may_make_as_many_again(
    user: User, tmp_path: Path
) -> None:
    with OpenAIServer() as server:
        path = config(user, tmp_path, server, max_requests=30)
        planned = user.run_config(path, "--dry-run").output
        assert "Judge: 50 requests, about" in planned
        assert "Warning: the run stops after 30 requests (reward_model.params.max_requests)" in planned
        first = user.run_config(path)
        assert first.code == 1, first.output
        assert "the judge was sent 30 requests, which are all that reward_model.params.max_requests" in first.output
        assert "--resume" in first.output
        assert server.count == 30
        resumed = user.run_config(path, "--resume", "latest")
    assert resumed.code == 0, resumed.output
    assert server.count == 50, "no request is made twice"
    assert_each_is_scored_once(user)
    assert user.report()["performance"]["judge"]["requests"] == 50


@pytest.mark.slow
@pytest.mark.parametrize("what", ["interrupted", "killed"])
def test_what_is_in_flight_is_finished_at_an_interrupt_and_made_again_when_the_worker_is_killed(
    user: User, tmp_path: Path, what: str
) -> None:
    with OpenAIServer(latency=0.2) as server:
        path = config(user, tmp_path, server)
        with user.start_run(path) as run:
            wait_until(lambda: server.answered >= 6 and server.in_flight >= 4, seconds=TIMEOUT)
            if what == "interrupted":
                run.send_signal(signal.SIGINT)
            else:
                (worker,) = [each for each in user.processes() if "reward-0" in " ".join(each.cmdline())]
                os.kill(worker.pid, signal.SIGKILL)
            output, _ = run.communicate(timeout=TIMEOUT)
        if what == "interrupted":
            assert run.returncode == 130, output
            assert len(user.rows("scored")) == server.answered < 2 * PAIRS
            resumed = user.run_config(path, "--resume", "latest")
            assert (resumed.code, server.count) == (0, 2 * PAIRS), resumed.output
        else:
            assert run.returncode == 0, output
            assert "reward-0 died; unfinished:" in output
            assert 2 * PAIRS < server.count <= 2 * PAIRS + 10
    assert_each_is_scored_once(user)
    assert user.left_over() == []
