"""Whether a pool's models are those that a run asks for."""

from __future__ import annotations

import msgspec

from protocol import messages as m
from scheduler.pool.matching import away_from_device, devices, in_the_way, mismatches, shares_devices, usable

EDITOR = m.ModelSpec(role="editor", type="qwen_image_edit", name="/models/a", params={"dtype": "bfloat16"})
REWARD = m.ModelSpec(role="reward", type="qwen3_vl", name="/models/r")
SPECS: dict[m.Role, m.ModelSpec] = {"editor": EDITOR, "reward": REWARD}


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
    assert mismatches(pool(worker(EDITOR), worker(REWARD)), SPECS) == []


def test_each_parameter_that_differs_is_named() -> None:
    other = m.ModelSpec(role="editor", type="qwen_image_edit", name="/models/b", params={"dtype": "float32"})
    (found,) = mismatches(pool(worker(other), worker(REWARD)), SPECS)
    assert found.worker_id == "editor-0"
    assert found.why == "model_name from '/models/b' to '/models/a', dtype from 'float32' to 'bfloat16'"


def test_a_worker_that_is_about_to_load_the_right_model_matches_but_is_not_usable() -> None:
    old = msgspec.structs.replace(EDITOR, name="/models/old")
    changing = worker(EDITOR, state=loaded(old, phase="loading"))
    assert mismatches(pool(changing), SPECS) == []
    assert not usable(changing, SPECS)


def test_files_that_changed_since_are_a_mismatch() -> None:
    stale = worker(EDITOR, state=loaded(EDITOR, stale=True))
    assert "have changed" in mismatches(pool(stale), SPECS)[0].why
    assert not usable(stale, SPECS)


def test_usable_is_who_lives_and_has_the_model_ready() -> None:
    assert usable(worker(EDITOR), SPECS)
    assert not usable(worker(EDITOR, alive=False), SPECS)
    assert not usable(worker(EDITOR, endpoint=None), SPECS)
    assert not usable(worker(EDITOR, state=None), SPECS)
    assert not usable(worker(EDITOR, state=loaded(EDITOR, phase="failed", model=None)), SPECS)


def test_devices_are_shared_only_if_they_are_the_same_gpu() -> None:
    assert shares_devices(devices(pool(worker(EDITOR, "cuda:1"), worker(REWARD, "cuda:1"))))
    assert not shares_devices(devices(pool(worker(EDITOR, "cuda:0"), worker(REWARD, "cuda:1"))))
    assert not shares_devices(devices(pool(worker(EDITOR, "cpu"), worker(REWARD, "cpu"))))


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
