"""The environment and command line of a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from protocol.messages import ModelSpec
from protocol.plan import WorkerPlan
from workers.spawn import environment, local_device, spawn


def plan(device: str = "cpu", command: list[str] | None = None, threads: int = 1) -> WorkerPlan:
    spec = ModelSpec(role="editor", type="identity")
    return WorkerPlan(
        worker_id="editor-0",
        role="editor",
        device=device,
        spec=spec,
        residency="device",
        command=command or [sys.executable],
        threads=threads,
    )


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cuda:0", None, "0"),
        ("cuda:3", None, "3"),
        ("cuda:1", "4,5", "5"),
        ("cuda:0", "GPU-aaaa, GPU-bbbb", "GPU-aaaa"),
        ("cpu", "4,5", ""),
        ("cpu", None, ""),
    ],
)
def test_a_worker_sees_only_its_own_gpu(device: str, visible: str | None, expected: str) -> None:
    parent = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    made = environment(plan(device), parent)
    assert made["CUDA_VISIBLE_DEVICES"] == expected
    assert made["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "GPUs are numbered as in the scheduler"
    assert local_device(device) == ("cuda:0" if device != "cpu" else "cpu")


def test_libraries_get_as_many_threads_as_the_plan_says() -> None:
    made = environment(plan(threads=3), {"OMP_NUM_THREADS": "64", "HOME": "/somewhere"})
    assert (made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"], made["HOME"]) == ("3", "3", "/somewhere")


def test_the_command_of_another_environment_is_used_as_it_is(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text('#!/bin/sh\necho "$@"\n')
    wrapper.chmod(0o755)
    process = spawn(
        plan(command=[str(wrapper), "run", "-n", "env", "python"]),
        incarnation="abc",
        folder=tmp_path,
        life_socket=tmp_path / "life.sock",
        transport="ipc",
    )
    assert process.wait(timeout=30) == 0
    output = (tmp_path / "editor-0.log").read_text()
    assert output.startswith("run -n env python -m workers worker --worker-id editor-0 --role editor --device cpu")
    assert "--incarnation abc" in output


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-python"):
        spawn(
            plan(command=["/no-such-python"]),
            incarnation="abc",
            folder=tmp_path,
            life_socket=tmp_path / "life.sock",
            transport="ipc",
        )


def test_the_worker_has_its_own_session(tmp_path: Path) -> None:
    process = spawn(
        plan(command=["sh", "-c", "ps -o sid= -p $$; echo $$"]),
        incarnation="abc",
        folder=tmp_path,
        life_socket=tmp_path / "life.sock",
        transport="ipc",
    )
    process.wait(timeout=30)
    session, pid = (tmp_path / "editor-0.log").read_text().split()
    assert session == pid
    assert process.stdin is None
    assert isinstance(process, subprocess.Popen)
