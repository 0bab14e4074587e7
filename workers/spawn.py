"""Starts a worker process: its environment, its command line, its log."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from protocol.plan import ENVIRONMENT_BEFORE, WorkerPlan, threads
from workers.affinity import cores_near, started_on

_OTHER_THREADS = 3
"""The loop, and the two threads that decode and encode images."""


def local_device(device: str) -> str:
    """The device's name inside the worker, which sees one GPU only."""
    return "cpu" if device == "cpu" else "cuda:0"


def environment(plan: WorkerPlan, parent: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker, complete before it starts: CUDA and OpenMP read theirs once."""
    result = dict(parent)
    result["CUDA_VISIBLE_DEVICES"] = _visible(plan.device, parent.get("CUDA_VISIBLE_DEVICES"))
    # The scheduler counts them like this, through NVML.
    result["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    result["OMP_NUM_THREADS"] = result["MKL_NUM_THREADS"] = str(threads(plan.spec))
    result["TOKENIZERS_PARALLELISM"] = "false"
    result["PYTHONUNBUFFERED"] = "1"
    if not {"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"} & parent.keys():
        # Images of many shapes, and two models that take turns, would leave memory in pieces of which none is used.
        result["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    changed = {name: parent.get(name) for name, value in result.items() if parent.get(name) != value}
    result[ENVIRONMENT_BEFORE] = json.dumps(changed)
    return result


def _visible(device: str, parent: str | None) -> str:
    """``cuda:N`` is the N-th GPU that the launcher sees."""
    if not device.startswith("cuda"):
        return ""
    index = int(device.partition(":")[2] or 0)
    visible = [entry.strip() for entry in parent.split(",")] if parent else []
    return visible[index] if index < len(visible) else str(index)


def spawn(plan: WorkerPlan, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start the worker's command with these arguments. Its output goes to ``log``.

    Raises:
        OSError: the interpreter cannot be started.
    """
    variables = environment(plan, os.environ)
    cores = cores_near(variables["CUDA_VISIBLE_DEVICES"]) if plan.device.startswith("cuda") else None
    with log.open("ab") as output, started_on(cores, threads(plan.spec) + _OTHER_THREADS):
        return subprocess.Popen(
            [*plan.command, *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Its own session: Ctrl-C in a terminal reaches the scheduler only.
            start_new_session=True,
        )


def log_path(folder: Path, worker_id: str) -> Path:
    """Where a worker's output goes."""
    return folder / f"{worker_id}.log"
