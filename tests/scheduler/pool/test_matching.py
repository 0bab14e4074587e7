"""Whether a pool's models are those that a run asks for."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from protocol import messages as m
from protocol.plan import PoolSettings
from scheduler.pool.matching import (
    away_from_device,
    devices,
    has_ended,
    in_the_way,
    mismatches,
    same_devices,
    same_python,
    shares_devices,
    unequal_settings,
    usable,
)

EDITOR = m.ModelSpec(role="editor", type="qwen_image_edit", name="/models/a", params={"dtype": "bfloat16"})
REWARD = m.ModelSpec(role="reward", type="qwen3_vl", name="/models/r")
SPECS: dict[m.Role, m.ModelSpec] = {"editor": EDITOR, "reward": REWARD}
COMMANDS: dict[m.Role, list[str]] = {"editor": ["/v/bin/python"], "reward": ["/r/bin/python", "-s"]}


def loaded(spec: m.ModelSpec, **fields: object) -> m.WorkerState:
    model = m.LoadedModel(spec=spec, fingerprint="0" * 64, size_bytes=1, load_seconds=1.0)
    state = m.WorkerState(phase="ready", residency="device", model=model)
    return msgspec.structs.replace(state, **fields)


def worker(spec: m.ModelSpec, device: str = "cpu", **fields: object) -> m.WorkerStatus:
    status = m.WorkerStatus(
        worker_id=f"{spec.role}-0",
        role=spec.role,
        device=device,
        pid=1,
        alive=True,
        spec=spec,
        command=COMMANDS[spec.role],
        incarnation="i",
        endpoint="ipc:///tmp/x",
        log="log",
        started=1.0,
        state=loaded(spec),
    )
    return msgspec.structs.replace(status, **fields)


def pool(*workers: m.WorkerStatus) -> m.PoolStatus:
    return m.PoolStatus(
        run="r", incarnation="i", workers=list(workers), holders=[], waiting=[], keep=True, stopping=False
    )


def test_a_pool_with_the_runs_models_matches() -> None:
    assert mismatches(pool(worker(EDITOR), worker(REWARD)), SPECS, COMMANDS) == []


def test_each_parameter_that_differs_is_named() -> None:
    other = m.ModelSpec(role="editor", type="qwen_image_edit", name="/models/b", params={"dtype": "float32"})
    (found,) = mismatches(pool(worker(other), worker(REWARD)), SPECS, COMMANDS)
    assert found.worker_id == "editor-0"
    assert found.why == "model_name from '/models/b' to '/models/a', dtype from 'float32' to 'bfloat16'"


def test_a_worker_that_is_about_to_load_the_right_model_matches_but_is_not_usable() -> None:
    old = msgspec.structs.replace(EDITOR, name="/models/old")
    changing = worker(EDITOR, state=loaded(old, phase="loading"))
    assert mismatches(pool(changing), SPECS, COMMANDS) == []
    assert not usable(changing, SPECS, COMMANDS)


def test_files_that_changed_since_are_a_mismatch() -> None:
    stale = worker(EDITOR, state=loaded(EDITOR, stale=True))
    assert "have changed" in mismatches(pool(stale), SPECS, COMMANDS)[0].why
    assert not usable(stale, SPECS, COMMANDS)


def test_usable_is_who_lives_and_has_the_model_ready() -> None:
    assert usable(worker(EDITOR), SPECS, COMMANDS)
    assert not usable(worker(EDITOR, alive=False), SPECS, COMMANDS)
    assert not usable(worker(EDITOR, endpoint=None), SPECS, COMMANDS)
    assert not usable(worker(EDITOR, state=None), SPECS, COMMANDS)
    assert not usable(worker(EDITOR, state=loaded(EDITOR, phase="failed", model=None)), SPECS, COMMANDS)


def test_devices_are_shared_only_if_they_are_the_same_gpu() -> None:
    assert shares_devices(devices(pool(worker(EDITOR, "cuda:1"), worker(REWARD, "cuda:1"))))
    assert not shares_devices(devices(pool(worker(EDITOR, "cuda:0"), worker(REWARD, "cuda:1"))))
    assert shares_devices(devices(pool(worker(EDITOR, "cuda:0+1"), worker(REWARD, "cuda:1"))))
    assert not shares_devices(devices(pool(worker(EDITOR, "cpu"), worker(REWARD, "cpu"))))


def test_devices_of_workers_elsewhere_are_compared_by_their_kind() -> None:
    assert same_devices(("cuda:0",), ("cuda:0",))
    assert not same_devices(("cuda:1",), ("cuda:0",))
    assert same_devices(("node7:cuda:0", "gpu", "node8:cuda:3"), ("gpu",) * 3)
    assert not same_devices(("node7:cuda:0",), ("gpu",) * 2)
    assert not same_devices(("node7:cpu", "node7:cuda:0"), ("gpu", "gpu"))
    assert same_devices(("node7:cpu", "gpu"), ("gpu", "cpu"))
    assert not same_devices(("cuda:0",), ("cpu",))
    assert same_devices(("node7:cuda:0+1", "gpu:2"), ("gpu:2",) * 2)
    assert not same_devices(("node7:cuda:0", "gpu:2"), ("gpu:2",) * 2)


def test_who_is_not_heard_by_its_launcher_may_live_and_who_has_an_exit_code_or_a_successor_does_not() -> None:
    lives = worker(EDITOR)
    assert not has_ended("i", lives)
    assert not has_ended("i", msgspec.structs.replace(lives, alive=False))
    assert has_ended("i", msgspec.structs.replace(lives, alive=False, exit_code=1))
    assert has_ended("earlier", lives)


def test_a_model_that_another_run_left_off_its_device_is_seen() -> None:
    assert away_from_device(pool(worker(EDITOR, state=loaded(EDITOR, residency="host"))))
    assert not away_from_device(pool(worker(EDITOR)))


def test_a_model_is_in_the_way_where_it_shares_a_gpu_with_the_role_that_works() -> None:
    alone: dict[m.Role, m.ModelSpec] = {"reward": REWARD}
    editor, reward = worker(EDITOR, "cuda:0"), worker(REWARD, "cuda:0")
    assert in_the_way(editor, pool(editor, reward), alone)
    assert not in_the_way(reward, pool(editor, reward), alone), "it is what works"
    assert not in_the_way(editor, pool(editor, reward), SPECS), "so does it here"
    assert not in_the_way(editor, pool(editor, worker(REWARD, "cuda:1")), alone)
    assert not in_the_way(worker(EDITOR), pool(worker(EDITOR), worker(REWARD)), alone), (
        "each cpu is a device of its own"
    )
    dead = worker(EDITOR, "cuda:0", alive=False)
    assert not in_the_way(dead, pool(dead, reward), alone)
    loading = worker(EDITOR, "cuda:0", state=loaded(EDITOR, phase="loading"))
    assert not in_the_way(loading, pool(loading, reward), alone)


# -- what was decided when the pool was launched


def test_a_worker_in_another_python_is_started_anew() -> None:
    old = worker(REWARD, command=["/old/bin/python", "-s"])
    (found,) = mismatches(pool(worker(EDITOR), old), SPECS, COMMANDS)
    assert (found.worker_id, found.command) == ("reward-0", ["/r/bin/python", "-s"])
    assert found.why == "Python from '/old/bin/python' to '/r/bin/python'"
    assert not usable(old, SPECS, COMMANDS)


def test_another_number_of_threads_needs_a_new_process_and_another_checkpoint_does_not() -> None:
    threads = msgspec.structs.replace(EDITOR, params={**EDITOR.params, "threads_per_worker": 4})
    other = msgspec.structs.replace(EDITOR, name="/models/b")
    changes = [
        mismatches(pool(worker(EDITOR), worker(REWARD)), {**SPECS, "editor": spec}, COMMANDS)
        for spec in (threads, other)
    ]
    assert [[change.command for change in found] for found in changes] == [[["/v/bin/python"]], [None]]
    assert changes[0][0].why == "threads_per_worker from None to 4"


def test_the_pythons_of_two_virtual_environments_differ_and_two_names_of_one_do_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "bin").mkdir(parents=True)
        for link in ("python", "python3"):
            (tmp_path / name / "bin" / link).symlink_to(sys.executable)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    first, second, other, linked = (str(tmp_path / path) for path in PYTHONS)
    assert same_python([first, "-s"], [second, "-s"])
    assert same_python([first, "-s"], [linked, "-s"])
    assert not same_python([first, "-s"], [other, "-s"])
    assert not same_python(["/c/conda", "run", "-n", "x"], ["/c/conda", "run", "-n", "y"])


PYTHONS = ("a/bin/python", "a/bin/python3", "b/bin/python", "link/bin/python")


def test_models_without_an_environment_of_their_own_take_the_python_of_the_pool() -> None:
    assert same_python(["/launcher/bin/python"], ["/run/bin/python"])
    assert not same_python(["/launcher/bin/python"], ["/own/bin/python", "-s"])
    assert not same_python(["/own/bin/python", "-s"], ["/run/bin/python"])


def test_each_setting_that_only_a_launch_decides_is_compared() -> None:
    held = PoolSettings(transport="ipc", placer="join", placer_options={"a": 1})
    assert unequal_settings(held, held) == []
    wanted = PoolSettings(
        transport="tcp",
        placer="join",
        listen="10.0.0.1",
        ports="5600-5700",
        orphan_seconds=60.0,
        placer_options={"a": 2},
        load_in_parallel=True,
        job_timeout_seconds=900.0,
        load_timeout_seconds=0.5,
    )
    assert unequal_settings(held, wanted) == [
        "pool.transport from ipc to tcp",
        "pool.listen from none to 10.0.0.1",
        "pool.ports from none to 5600-5700",
        "pool.orphan_seconds from 300 to 60",
        "pool.load_in_parallel from false to true",
        "scheduler.job_timeout_seconds from 600 to 900",
        "scheduler.load_timeout_seconds from 1800 to 0.5",
        "pool.join",
    ]
    assert unequal_settings(PoolSettings(placer_options={"a": 1}, placer="x"), PoolSettings()) == [
        "pool.placer from x to local"
    ]
    assert len(PoolSettings.__struct_fields__) == 9, "another field is to be compared as well"
