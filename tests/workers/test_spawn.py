"""The environment and command line of a worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from protocol.devices import gpu_count
from protocol.messages import ModelSpec
from protocol.plan import ENVIRONMENT_BEFORE, WorkerPlan, threads
from tests.fake_nvml import remove_nvml, show_gpus
from workers.affinity import cores_near, started_on
from workers.entrance import LocalEntrance
from workers.spawn import environment, local_device, spawn


def plan(device: str = "cpu", command: list[str] | None = None, threads: int = 1) -> WorkerPlan:
    spec = ModelSpec(role="editor", type="identity", params={"threads_per_worker": threads})
    return WorkerPlan(
        worker_id="editor-0",
        role="editor",
        device=device,
        spec=spec,
        residency="device",
        command=command or [sys.executable],
    )


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cuda:0", None, "0"),
        ("cuda:3", None, "3"),
        ("cuda:1", "4,5", "5"),
        ("cuda:0", "GPU-aaaa, GPU-bbbb", "GPU-aaaa"),
        ("cuda:0+1", None, "0,1"),
        ("cuda:1+2", "4, 5,6", "5,6"),
        ("cuda:3+0", "GPU-a,GPU-b,GPU-c,GPU-d", "GPU-d,GPU-a"),
        ("cpu", "4,5", ""),
        ("cpu", None, ""),
    ],
)
def test_a_worker_sees_only_its_own_gpus(device: str, visible: str | None, expected: str) -> None:
    parent = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    made = environment(plan(device), parent)
    assert made["CUDA_VISIBLE_DEVICES"] == expected
    assert made["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "GPUs are numbered as in the scheduler"
    assert local_device(device) == {0: "cpu", 1: "cuda:0", 2: "cuda:0+1"}[gpu_count(device)]


def test_libraries_get_as_many_threads_as_the_model_is_to_have() -> None:
    made = environment(plan(threads=3), {"OMP_NUM_THREADS": "64", "HOME": "/somewhere"})
    assert (made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"], made["HOME"]) == ("3", "3", "/somewhere")


@pytest.mark.parametrize("number", ["8\0", 0, -1, 10**6, None, 1.5])
def test_a_number_of_threads_that_makes_no_sense_is_as_none(number: object) -> None:
    assert threads(ModelSpec(role="editor", params={"threads_per_worker": number})) == 1


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_the_allocator_of_torch_grows_segments_unless_the_user_has_set_it_otherwise(name: str) -> None:
    assert environment(plan(), {})["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    assert {"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"} & environment(plan(), {name: "x"}).keys() == {name}
    assert environment(plan(), {name: "x"})[name] == "x"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")
def test_a_worker_runs_on_the_cores_near_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of NVML, only what it says of the cores of each GPU."""
    own = sorted(os.sched_getaffinity(0))
    near = {"0": {own[-1]}, "1": {own[0]}, "2": {max(own) + 1}}
    show_gpus(monkeypatch, 3)
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetCpuAffinity",
        lambda handle, words: [
            sum(1 << core - 64 * word for core in near[handle[-1]] if core // 64 == word) for word in range(words + 1)
        ],
    )
    show = "import os; print(sorted(os.sched_getaffinity(0)))"
    cores = []
    for index in range(3):
        with started_on(cores_near(f"{index},0")):
            cores.append(subprocess.check_output([sys.executable, "-c", show], text=True).strip())
    assert cores == [str([own[-1]]), str([own[0]]), str(own)], "those of the last GPU are not ours"
    with started_on(cores_near("0"), least=2):
        assert subprocess.check_output([sys.executable, "-c", show], text=True).strip() == str(own), "too few"
    assert sorted(os.sched_getaffinity(0)) == own


def test_without_nvml_a_worker_may_use_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    remove_nvml(monkeypatch)
    assert cores_near("0") is None


def arguments_of(folder: Path) -> list[str]:
    return LocalEntrance(folder, folder / "life.sock").arguments(plan(), "abc")


def test_the_command_of_another_environment_is_used_as_it_is(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text('#!/bin/sh\necho "$@"\n')
    wrapper.chmod(0o755)
    process = spawn(
        plan(command=[str(wrapper), "run", "-n", "env", "python"]), arguments_of(tmp_path), tmp_path / "editor-0.log"
    )
    assert process.wait(timeout=30) == 0
    output = (tmp_path / "editor-0.log").read_text()
    assert output.startswith("run -n env python -m workers worker --worker-id editor-0 --role editor --device cpu")
    assert "--incarnation abc" in output


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-python"):
        spawn(plan(command=["/no-such-python"]), arguments_of(tmp_path), tmp_path / "editor-0.log")


def test_the_worker_has_its_own_session(tmp_path: Path) -> None:
    process = spawn(
        plan(command=["sh", "-c", "ps -o sid= -p $$; echo $$"]), arguments_of(tmp_path), tmp_path / "editor-0.log"
    )
    process.wait(timeout=30)
    session, pid = (tmp_path / "editor-0.log").read_text().split()
    assert session == pid
    assert process.stdin is None
    assert isinstance(process, subprocess.Popen)


def test_what_the_launcher_had_is_kept_for_programs_that_a_worker_starts() -> None:
    parent = {"CUDA_VISIBLE_DEVICES": "4,5", "OMP_NUM_THREADS": "1", "HOME": "/somewhere"}
    before = json.loads(environment(plan("cuda:1"), parent)[ENVIRONMENT_BEFORE])
    assert before["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert before["TOKENIZERS_PARALLELISM"] is None
    assert not {"OMP_NUM_THREADS", "HOME"} & before.keys()
