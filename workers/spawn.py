"""Starts a worker process: its environment, its command line, its log."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from protocol.devices import gpu_count, gpu_group, gpus_of
from protocol.messages import ModelSpec
from protocol.plan import ENVIRONMENT_BEFORE, WorkerPlan, threads
from workers.affinity import cores_near, started_on

_OTHER_THREADS = 3
"""The loop, and the two threads that decode and encode images."""


def local_device(device: str) -> str:
    """The device's name inside the worker, which sees its own GPUs only."""
    count = gpu_count(device)
    return gpu_group(range(count)) if count else "cpu"


def environment(plan: WorkerPlan, parent: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker, complete before it starts: CUDA and OpenMP read theirs once."""
    added = variables(plan.spec)
    if {"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"} & parent.keys():
        del added["PYTORCH_CUDA_ALLOC_CONF"]
    result = {**parent, **added}
    result["CUDA_VISIBLE_DEVICES"] = _visible(plan.device, parent.get("CUDA_VISIBLE_DEVICES"))
    changed = {name: parent.get(name) for name, value in result.items() if parent.get(name) != value}
    result[ENVIRONMENT_BEFORE] = json.dumps(changed)
    return result


def variables(spec: ModelSpec) -> dict[str, str]:
    """Return what a worker with this model gets on any machine; the allocator's only where it has no other."""
    return {
        # The scheduler counts GPUs like this, through NVML.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "OMP_NUM_THREADS": str(threads(spec)),
        "MKL_NUM_THREADS": str(threads(spec)),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        # Images of many shapes, and two models that take turns, would leave memory in pieces of which none is used.
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    }


def _visible(device: str, parent: str | None) -> str:
    """``cuda:N`` is the N-th GPU that the launcher sees."""
    visible = [entry.strip() for entry in parent.split(",")] if parent else []
    indices = [int(gpu.partition(":")[2]) for gpu in gpus_of(device)]
    return ",".join(visible[index] if index < len(visible) else str(index) for index in indices)


def spawn(plan: WorkerPlan, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start the worker's command with these arguments. Its output goes to ``log``.

    Raises:
        OSError: the interpreter cannot be started.
    """
    complete = environment(plan, os.environ)
    cores = cores_near(complete["CUDA_VISIBLE_DEVICES"]) if plan.device.startswith("cuda") else None
    with log.open("ab") as output, started_on(cores, threads(plan.spec) + _OTHER_THREADS):
        return subprocess.Popen(
            [*plan.command, *arguments],
            env=complete,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Its own session: Ctrl-C in a terminal reaches the scheduler only.
            start_new_session=True,
        )


def log_path(folder: Path, worker_id: str) -> Path:
    """Where a worker's output goes."""
    return folder / f"{worker_id}.log"
