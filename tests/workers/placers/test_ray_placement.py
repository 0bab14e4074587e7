"""What the placer for Ray asks for and says, without a cluster."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from protocol.keys import PoolKeys, read_client_keys
from protocol.messages import ModelSpec
from protocol.plan import PoolPlan, WorkerPlan
from tests.waiting import wait_until
from workers.placers.declaration import Order, PlacementError
from workers.placers.ray import DECLARATION, RayPlacer
from workers.placers.ray_actor import end_earlier, note, start_time
from workers.placers.ray_options import connection, placement
from workers.placers.ray_resources import lacking

GPU_NODE = {"CPU": 8.0, "GPU": 2.0, "memory": 1e9}


def pool(device: str = "gpu", **options: Any) -> PoolPlan:
    spec = ModelSpec(role="editor", type="identity", params={"threads_per_worker": 3})
    worker = WorkerPlan(
        worker_id="editor-0", role="editor", device=device, spec=spec, residency="device", command=["/env/python", "-P"]
    )
    return PoolPlan(name="bench", workers=[worker], transport="tcp", placer="ray", placer_options=options)


def order(plan: PoolPlan, folder: Path) -> Order:
    arguments = ["-m", "workers", "join", "tcp://head:5600", "--key", "/here/join.key", "--role", "editor"]
    return Order(plan.workers[0], "abc", arguments, folder / "editor-0.log")


@pytest.mark.parametrize(
    ("nodes", "available", "expected"),
    [
        ([], {}, "a Ray node with 1 GPU and 1 CPU; the cluster has 0 nodes and none is such"),
        ([{"CPU": 8.0}], {"CPU": 8.0}, "a Ray node with 1 GPU and 1 CPU; the cluster has 1 node and none is such"),
        ([GPU_NODE, GPU_NODE], {"CPU": 16.0}, "1 GPU of the Ray cluster: 0 of 4 GPU free"),
        ([GPU_NODE], {"GPU": 0.5}, "1 GPU and 1 CPU of the Ray cluster: 0.5 of 2 GPU free, 0 of 8 CPU free"),
        ([GPU_NODE], GPU_NODE, "Ray to start its actor"),
    ],
)
def test_it_says_which_resource_an_actor_waits_for(
    nodes: list[dict[str, float]], available: dict[str, float], expected: str
) -> None:
    assert lacking({"GPU": 1.0, "CPU": 1.0, "A100": 0.0}, nodes, available) == expected


def test_an_actor_takes_a_gpu_and_a_cpu_if_nothing_else_is_said(tmp_path: Path) -> None:
    gpu, cpu = (placement(plan, order(plan, tmp_path), "/k") for plan in (pool("gpu"), pool("cpu")))
    assert (gpu.gpus, gpu.cpus, gpu.resources) == (1.0, 1.0, {})
    assert (cpu.gpus, cpu.cpus, cpu.resources) == (0.0, 1.0, {})
    assert placement(pool("gpu:4"), order(pool("gpu:4"), tmp_path), "/k").gpus == 4.0


def test_a_role_has_resources_and_a_python_of_its_own(tmp_path: Path) -> None:
    role = {"gpus": 2, "cpus": 0.5, "resources": {"A100": 1}, "python": "/opt/editor/bin/python"}
    plan = pool(editor=role, reward={"gpus": 7})
    place = placement(plan, order(plan, tmp_path), "/k")
    assert (place.gpus, place.cpus, place.resources) == (2.0, 0.5, {"A100": 1.0})
    assert place.command[0] == "/opt/editor/bin/python"
    assert place.command[1:4] == ["-m", "workers", "join"]


def test_the_command_is_that_of_the_plan_and_names_the_key_file_of_the_node_only(tmp_path: Path) -> None:
    plan = pool()
    place = placement(plan, order(plan, tmp_path), "~/pool.key")
    assert place.command == ["/env/python", "-P", "-m", "workers", "join", "tcp://head:5600", "--role", "editor"]
    assert place.key_file == "~/pool.key"
    assert place.environment["OMP_NUM_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in place.environment, "Ray sets it"


def test_a_pool_has_a_namespace_of_its_own() -> None:
    mine, others = (connection(pool(), key).namespace for key in ("a" * 40, "b" * 40))
    assert mine.startswith("warmbench-bench-")
    assert mine != others, "two users may have pools of one name"
    named = connection(pool(namespace="ours", address="auto"), "a" * 40)
    assert named.namespace == "ours"
    assert f"warmbench-{named.prefix}" == f"{mine}."


def test_the_key_is_put_where_nodes_look_for_it_if_this_machine_has_the_folder(tmp_path: Path) -> None:
    keys, shared = PoolKeys(tmp_path), tmp_path / "shared.key"
    server = keys.launcher_pair().public
    RayPlacer(pool(key_file_on_nodes=str(shared)), tmp_path)._share_key()
    made = read_client_keys(shared)
    assert (made.server, made.use) == (server, "join")
    assert keys.allowed()[made.public] == "join"
    assert shared.stat().st_mode & 0o777 == 0o600
    RayPlacer(pool(key_file_on_nodes=str(shared)), tmp_path)._share_key()
    assert read_client_keys(shared) == made
    shared.unlink()
    elsewhere = tmp_path / "elsewhere.key"
    for path in (shared, elsewhere):
        RayPlacer(pool(key_file_on_nodes=str(path)), tmp_path)._share_key()
        assert keys.allowed()[read_client_keys(path).public] == "join", "a lost file, or another path, is made again"


def test_a_key_that_lets_no_worker_join_is_named(tmp_path: Path) -> None:
    keys, shared = PoolKeys(tmp_path), tmp_path / "shared.key"
    keys.launcher_pair()
    keys.hand_out(shared, "join", "nodes")
    RayPlacer(pool(key_file_on_nodes=str(shared)), tmp_path)._share_key()
    keys.take_back("nodes")
    with pytest.raises(PlacementError, match=r"shared\.key does not let workers join: remove the file"):
        RayPlacer(pool(key_file_on_nodes=str(shared)), tmp_path)._share_key()


def test_the_key_of_another_pool_is_not_replaced(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        PoolKeys(tmp_path / name).launcher_pair()
    shared = tmp_path / "shared.key"
    RayPlacer(pool(key_file_on_nodes=str(shared)), tmp_path / "one")._share_key()
    with pytest.raises(PlacementError, match=r"shared\.key is another pool's: remove it, or name another one"):
        RayPlacer(pool(key_file_on_nodes=str(shared)), tmp_path / "other")._share_key()


def test_resources_are_numbers_that_ray_takes() -> None:
    (rule,) = next(key for key in DECLARATION.keys if key.name == "editor").rules
    resources = {"A100": 1, "B": "x", "C": 0, "D": True, "GPU": 2, "E": 1.5}
    conflicts = rule({"resources": resources, "gpus": 0.5, "cpus": 2.5})
    assert [conflict.message for conflict in conflicts] == [
        "B must be a number above 0, found 'x'",
        "C must be a number above 0, found 0",
        "D must be a number above 0, found True",
        "GPU has a key of its own",
        "E above 1 must be a whole number, found 1.5",
        "above 1 must be a whole number, found 2.5",
    ]


def test_the_earlier_process_of_a_worker_is_ended_with_its_group(tmp_path: Path) -> None:
    file = tmp_path / "pids" / "pool.editor-0"
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        end_earlier(file)  # there is none yet
        note(file, process.pid)
        end_earlier(file)
        assert process.wait(10) == -signal.SIGKILL
    wait_until(lambda: start_time(child) is None, seconds=10)
    assert not file.exists()


def test_a_process_that_has_got_the_number_of_an_earlier_one_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "pool.editor-0"
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        file.write_text(json.dumps({"pid": process.pid, "started": "1"}), encoding="utf-8")
        end_earlier(file)
        assert process.poll() is None
        process.kill()
