"""Pools whose workers a real Ray cluster places: three nodes on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import psutil
import pytest

from tests.harness import User, small_benchmark
from tests.ray_nodes import RayNodes, ray_nodes
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra `ray`)"),
]
SITE = {"resources": {"site": 1}, "gpus": 1}


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with ray_nodes() as started:
        yield started


def ray_pool(nodes: RayNodes, **options: Any) -> dict[str, Any]:
    """Editors beside the head's node, one GPU each."""
    return {"placer": "ray", "ray": {"address": nodes.address, "editor": SITE, "reward": {"gpus": 1}, **options}}


def test_a_run_on_three_nodes_makes_the_edits_of_one_machine(user: User, nodes: RayNodes) -> None:
    data = small_benchmark(user.folder / "data.json", pairs=6)
    assert user.run_config(user.simulated(data)).code == 0
    expected = user.hashes()
    config = user.simulated(data, pool=ray_pool(nodes), name="rayed")
    assert user.run("workers", "start", "--config", config).code == 0
    actors = nodes.actors()
    assert {name for _, name in actors} == {"editor-0", "editor-1", "reward-0"}
    (namespace,) = {namespace for namespace, _ in actors}
    assert namespace.startswith("warmbench-rayed-")
    assert user.run_config(config).code == 0
    assert len(nodes.workers()) == 3
    assert user.check("workers", "stop", "--config", config).code == 0
    assert user.report()["status"] == "COMPLETE"
    assert user.hashes() == expected
    assert {row["device"].partition(":")[2] for row in user.rows("edited")} == {"cpu"}
    assert_nothing_is_left(user, nodes)


def test_a_pool_says_which_resource_it_waits_for_and_how_long(user: User, nodes: RayNodes) -> None:
    data = small_benchmark(user.folder / "data.json")
    config = user.simulated(data, pool=ray_pool(nodes, editor={"gpus": 3}))
    with user.start_run(config) as run:
        text = "waits for a Ray node with 3 GPU and 1 CPU; the cluster has 3 nodes and none is such"
        wait_until(lambda: text in user.check("workers", "status", "--config", config).output)
        launcher_log = user.home / "bench" / "launcher.log"
        wait_until(lambda: f"editor-0 {text}, for 10 s" in launcher_log.read_text(encoding="utf-8"))
        run_logs = user.output / "logs"
        wait_until(lambda: any(f"editor-0 {text}, for " in file.read_text() for file in run_logs.glob("*.log")))
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    assert_nothing_is_left(user, nodes)


def test_actors_that_have_not_started_go_when_their_launcher_is_killed(user: User, nodes: RayNodes) -> None:
    data = small_benchmark(user.folder / "data.json")
    config = user.simulated(data, pool=ray_pool(nodes, editor={"gpus": 3}, reward={"gpus": 3}))
    with user.start_run(config) as run:
        wait_until(lambda: len(nodes.actors()) == 3)
        launcher_of(user).kill()
        try:
            wait_until(lambda: not nodes.actors(), otherwise=nodes.actors)
        finally:
            run.send_signal(signal.SIGINT)  # it waits for the next launcher
        assert run.wait(60) == 130
    assert user.check("workers", "stop", "--config", config).code == 0  # what it left: where it was heard
    assert_nothing_is_left(user, nodes)


def test_workers_go_on_without_the_process_that_talks_to_ray_and_the_next_one_finds_them(
    user: User, nodes: RayNodes
) -> None:
    data = small_benchmark(user.folder / "data.json", pairs=20)
    config = user.simulated(data, editor={"latency_ms": 600}, pool=ray_pool(nodes))
    with user.start_run(config) as run:
        wait_until(lambda: user.count("edited") and len(nodes.workers()) == 3)
        workers = {process.pid for process in nodes.workers()}
        (driver,) = [child for child in launcher_of(user).children() if "workers.placers.ray_driver" in child.cmdline()]
        driver.kill()
        log = user.home / "bench" / "launcher.log"
        wait_until(lambda: log.read_text(encoding="utf-8").count("connected to the Ray cluster") == 2)
        assert {process.pid for process in nodes.workers()} == workers
        assert run.wait(120) == 0
    assert user.report()["status"] == "COMPLETE"
    assert len(user.rows("edited")) == 40
    assert "died" not in log.read_text(encoding="utf-8")
    assert_nothing_is_left(user, nodes)


def test_a_raylet_that_dies_loses_no_pair_and_leaves_nothing(user: User, nodes: RayNodes) -> None:
    data = small_benchmark(user.folder / "data.json", pairs=20)
    assert user.run_config(user.simulated(data)).code == 0
    expected = user.hashes()
    config = user.simulated(data, editor={"latency_ms": 400}, pool=ray_pool(nodes))
    with user.start_run(config) as run:
        wait_until(lambda: len(list((user.output / "runs").iterdir())) == 2 and user.count("edited") >= 3)
        victim = next(raylet for raylet in nodes.raylets[1:] if raylet in raylets_of_workers(nodes))
        os.kill(victim, signal.SIGKILL)
        assert run.wait(180) == 0
    assert user.report()["status"] == "COMPLETE"
    assert user.hashes() == expected
    edited = [(row["category"], row["pair_id"]) for row in user.rows("edited")]
    assert len(edited) == len(set(edited)) == 40
    assert_nothing_is_left(user, nodes)


def assert_nothing_is_left(user: User, nodes: RayNodes) -> None:
    def left() -> list[str]:
        return user.left_over() + [" ".join(process.cmdline()) for process in nodes.workers()]

    wait_until(lambda: not left(), otherwise=left)  # a launcher gives its connection to Ray 20 s to end
    assert nodes.actors() == set()


def launcher_of(user: User) -> psutil.Process:
    (launcher,) = [process for process in user.processes() if "launcher" in process.cmdline()[0]]
    return launcher


def raylets_of_workers(nodes: RayNodes) -> set[int]:
    """The raylets whose nodes have workers."""
    return {int(process.environ()["RAY_RAYLET_PID"]) for process in nodes.workers()}
