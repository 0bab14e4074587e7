"""From a config and its layout to the workers that a launcher is to start."""

from __future__ import annotations

import sys

from protocol import messages as m
from protocol.plan import PoolPlan, WorkerPlan
from scheduler.config import Config
from scheduler.config.interpreters import reward_command
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.devices import Layout


def pool_plan(config: Config, layout: Layout, *, keep: bool) -> PoolPlan:
    """The pool of a config: ``editor-0`` and on, ``reward-0`` and on, in the order of the layout's devices.

    Raises:
        FileNotFoundError: the reward's environment is not there.
    """
    away: m.Residency = "host" if layout.residency == "swap" else "device"
    editor, reward = editor_spec(config), reward_spec(config)
    threads = config.diffusion_model.params.threads_per_worker
    workers = [
        WorkerPlan(
            worker_id=f"editor-{number}",
            role="editor",
            device=device,
            spec=editor,
            residency=away,
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
            residency=away,
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
