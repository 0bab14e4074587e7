"""From a config and its layout to the workers that a launcher is to start."""

from __future__ import annotations

import sys

import psutil

from protocol import messages as m
from protocol.plan import PoolPlan, WorkerPlan
from scheduler.config import Config
from scheduler.config.checks.model_lookup import weight_bytes
from scheduler.config.interpreters import reward_command
from scheduler.config.layout import Layout
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.pool.residency import off_device


def pool_plan(config: Config, layout: Layout, *, keep: bool) -> PoolPlan:
    """The pool of a config: ``editor-0`` and on, ``reward-0`` and on, in the order of the layout's devices.

    Raises:
        FileNotFoundError: the reward's environment is not there.
    """
    editor, reward = editor_spec(config), reward_spec(config)
    resting = _away(layout, editor, reward) if layout.residency == "swap" else "device"
    threads = config.diffusion_model.params.threads_per_worker
    workers = [
        WorkerPlan(
            worker_id=f"editor-{number}",
            role="editor",
            device=device,
            spec=editor,
            residency=resting,
            command=[sys.executable],
            threads=threads,
        )
        for number, device in enumerate(layout.editors)
    ]
    workers += [
        WorkerPlan(
            worker_id=f"reward-{number}",
            role="reward",
            device=device,
            spec=reward,
            residency=resting,
            command=reward_command(config),
            threads=config.reward_model.params.threads_per_worker,
        )
        for number, device in enumerate(layout.rewards)
    ]
    times = config.scheduler
    return PoolPlan(
        name=config.pool_name,
        workers=workers,
        transport=config.pool.transport,
        load_in_parallel=config.pool.load_in_parallel,
        keep=keep,
        heartbeat_seconds=times.heartbeat_seconds,
        dead_after_seconds=times.dead_after_seconds,
        job_timeout_seconds=times.job_timeout_seconds,
        load_timeout_seconds=times.load_timeout_seconds,
    )


def _away(layout: Layout, editor: m.ModelSpec, reward: m.ModelSpec) -> m.Residency:
    """Where models wait for their turn on a shared device: in host memory if all of them fit, else on disk."""
    sizes = [_size(editor)] * len(layout.editors) + [_size(reward)] * len(layout.rewards)
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return "disk"
    return off_device(known, psutil.virtual_memory().available)


def _size(spec: m.ModelSpec) -> int | None:
    """Bytes of the model's weights; 0 for a model without any, None where nobody knows."""
    if spec.type in ("simulated", "identity"):
        return 0
    return weight_bytes(spec.name, spec.role) if spec.name else None
