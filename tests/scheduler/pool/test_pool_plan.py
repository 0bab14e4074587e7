"""From a config to the workers that a launcher starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from protocol.host_memory import available_memory
from protocol.plan import threads
from scheduler.config.document import Config
from scheduler.config.layout import Layout, resolve_layout
from scheduler.config.loading import load_config
from scheduler.pool.pool_plan import pool_plan


def config(tmp_path: Path, *, editor: dict[str, object], kind: str = "simulated") -> Config:
    path = tmp_path / "c.yaml"
    sections = {
        "diffusion_model": {"type": kind, "params": editor},
        "reward_model": {"type": "simulated", "params": {"device": "cpu"}},
        "pool": {"load_in_parallel": True},
        "scheduler": {"job_timeout_seconds": 30},
    }
    path.write_text(yaml.safe_dump(sections))
    return load_config(path)


def test_there_is_a_worker_for_each_device_of_the_layout(tmp_path: Path) -> None:
    layout = Layout(("cpu", "cpu"), ("cpu",), "resident")
    plan = pool_plan(config(tmp_path, editor={"threads_per_worker": 2}), layout, keep=True)

    assert [(worker.worker_id, worker.role) for worker in plan.workers] == [
        ("editor-0", "editor"),
        ("editor-1", "editor"),
        ("reward-0", "reward"),
    ]
    assert {worker.residency for worker in plan.workers} == {"device"}
    assert [threads(worker.spec) for worker in plan.workers] == [2, 2, 1]
    assert plan.workers[0].command == [sys.executable]
    assert (plan.name, plan.keep, plan.load_in_parallel, plan.job_timeout_seconds) == ("c", True, True, 30)


def test_a_placer_elsewhere_needs_keys_and_listens_on_all_addresses(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("diffusion_model: {type: qwen_image_edit, params: {python: /only/on/nodes}}\npool: {placer: join}")
    loaded = load_config(path)
    plan = pool_plan(loaded, resolve_layout(loaded, ()), keep=False)
    assert (plan.transport, plan.placer, plan.listen, plan.orphan_seconds) == ("tcp", "join", "0.0.0.0", 300)  # noqa: S104
    assert [(worker.worker_id, worker.device) for worker in plan.workers] == [("editor-0", "gpu"), ("reward-0", "gpu")]
    assert plan.workers[0].command == ["/only/on/nodes", "-s"]


def model(tmp_path: Path, size: int) -> Path:
    folder = tmp_path / "model"
    (folder / "transformer").mkdir(parents=True)
    with (folder / "transformer" / "weights.safetensors").open("wb") as file:
        file.truncate(size)  # sparse: as large as it says, and next to nothing on the disk
    return folder


@pytest.mark.parametrize(
    ("share", "options", "expected"),
    [(0.6, {}, "host"), (1.1, {}, "disk"), (0.3, {"fp8": True}, "host"), (0.6, {"fp8": True}, "disk")],
)
def test_models_that_take_turns_wait_in_memory_only_if_it_has_room_for_files_and_copies(
    tmp_path: Path, share: float, options: dict[str, object], expected: str
) -> None:
    folder = model(tmp_path, int(available_memory() * share))
    settings: dict[str, object] = {"model_name": str(folder), "device_ids": [0, 1], "optimizations": options}
    made = config(tmp_path, editor=settings, kind="multi_gpu_qwen_image_edit")
    plan = pool_plan(made, Layout(("cuda:0", "cuda:1"), ("cuda:0",), "swap"), keep=False)

    assert {worker.residency for worker in plan.workers} == {expected}


def test_models_of_unknown_size_wait_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    settings: dict[str, object] = {"model_name": "owner/never-cached", "device_ids": [0]}
    made = config(tmp_path, editor=settings, kind="multi_gpu_qwen_image_edit")
    plan = pool_plan(made, Layout(("cuda:0",), ("cuda:0",), "swap"), keep=False)

    assert {worker.residency for worker in plan.workers} == {"disk"}
