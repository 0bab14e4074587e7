"""Workers over TCP on this machine outlive their launcher: the next one takes them, or ``workers stop`` ends them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from protocol.pool import read_pool_card, read_worker_cards
from tests.end_to_end.joined import TIMES
from tests.end_to_end.pools import finished, is_logged
from tests.harness import TIMEOUT, User, new_user, small_benchmark
from tests.processes import has_ended
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with new_user(tmp_path) as made:
        yield made


def workers(user: User) -> set[psutil.Process]:
    """The workers over TCP of this user."""
    return {psutil.Process(card.pid) for folder in user.home.glob("joined-*") for card in read_worker_cards(folder)}


def launcher(user: User, pool: str) -> psutil.Process:
    card = read_pool_card(user.home / pool)
    assert card is not None
    return psutil.Process(card.pid)


def kill_launcher(user: User, pool: str) -> None:
    launcher(user, pool).kill()
    wait_until(lambda: read_pool_card(user.home / pool) is None)


def test_adopted_workers_are_watched_and_stopped_like_others(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), pool={"transport": "tcp"})
    assert user.run("workers", "start", "--config", config).code == 0
    first = workers(user)
    assert len(first) == 3
    kill_launcher(user, "bench")
    assert user.run("workers", "start", "--config", config).code == 0
    assert workers(user) == first

    killed = min(first, key=lambda process: process.pid)
    killed.kill()
    # Its silence would tell after 10 s.
    wait_until(lambda: killed not in workers(user) and len(workers(user)) == 3, seconds=8)

    left, began = workers(user), time.monotonic()
    stopped = user.run("workers", "stop", "--config", config)
    assert stopped.code == 0, stopped.output
    assert all(map(has_ended, left))
    assert time.monotonic() - began < 15  # where only silence would tell that they have ended: over 20
    assert list(user.home.glob("joined-*")) == []
    assert user.left_over() == []


def test_a_run_whose_launcher_ends_before_it_has_begun_launches_the_next_one(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=1)
    config = user.simulated(data, pool={"transport": "tcp", "orphan_seconds": 20}, scheduler=TIMES)
    assert user.run("workers", "start", "--config", config).code == 0
    before = workers(user)
    launcher(user, "bench").suspend()  # it cannot answer, as one that ends
    run = user.start("run", "--config", config)
    wait_until(lambda: is_logged(user, "Attaching to pool bench"))
    kill_launcher(user, "bench")
    result = finished(run)

    assert result.code == 0, result.output
    assert "is gone, before this run began" in result.output
    joined = (user.home / "bench" / "launcher.log").read_text()
    assert all(joined.count(f"(pid {worker.pid})\n") == 3 for worker in before), "started, joined, joined the next one"
    assert user.left_over() == []


def test_a_worker_that_was_stopped_for_a_while_takes_part_again_with_its_model(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=6)
    pool = {"transport": "tcp", "orphan_seconds": 30}
    config = user.simulated(data, editor={"latency_ms": 400}, pool=pool, scheduler=TIMES)
    assert user.run("workers", "start", "--config", config).code == 0
    before = workers(user)
    with user.start("run", "--config", config) as run:
        wait_until(lambda: user.count("edited") >= 1)
        for process in before:
            process.suspend()
        wait_until(lambda: is_logged(user, "editor-0 was not heard for"))
        for process in before:
            process.resume()
        output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, output
    assert workers(user) == before
    assert "died" not in (user.home / "bench" / "launcher.log").read_text()
    assert user.run("workers", "stop", "--config", config).code == 0


def test_stop_ends_workers_that_have_not_come_back_yet(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), pool={"transport": "tcp"})
    assert user.run("workers", "start", "--config", config).code == 0
    left = workers(user)
    late = next(process for process in left if "editor-1" in process.cmdline()[0])
    late.suspend()
    kill_launcher(user, "bench")
    with user.start("workers", "start", "--config", config) as start:
        log = user.home / "bench" / "launcher.log"
        wait_until(lambda: log.read_text().count("reward-0 joined") == log.read_text().count("editor-0 joined") == 2)
        with user.start("workers", "stop", "--config", config) as stop:
            wait_until(lambda: "the pool ends" in log.read_text())
            late.resume()
            assert stop.wait(60) == 0
        start.communicate()
    assert all(map(has_ended, left))
    assert list(user.home.glob("joined-*")) == []
    assert user.left_over() == []


def test_stop_ends_workers_that_wait_for_a_launcher(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), pool={"transport": "tcp"})
    assert user.run("workers", "start", "--config", config).code == 0
    left = workers(user)
    kill_launcher(user, "bench")
    stopped = user.run("workers", "stop", "--config", config)
    assert stopped.code == 0, stopped.output
    assert "is not up" in stopped.output
    assert "waited for its next launcher: editor-0, editor-1, reward-0" in stopped.output
    assert all(map(has_ended, left))
    assert list(user.home.glob("joined-*")) == []
    assert user.left_over() == []
