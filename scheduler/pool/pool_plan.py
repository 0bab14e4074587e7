"""The workers that a launcher has to start for a config."""

from __future__ import annotations

import psutil

from protocol import messages as m
from protocol.plan import PoolPlan, WorkerPlan
from scheduler.config.checks.model_lookup import weight_bytes
from scheduler.config.document import Config
from scheduler.config.interpreters import worker_command
from scheduler.config.layout import Layout
from scheduler.config.models import ModelSection
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.pool.residency import off_device


def pool_plan(config: Config, layout: Layout, *, keep: bool) -> PoolPlan:
    """Return the pool of a config: ``editor-0`` and on, ``reward-0`` and on, in the order of the layout's devices.

    Raises ``FileNotFoundError`` if an environment that the config names is not there.
    """
    resting = _away(config, layout) if layout.residency == "swap" else "device"
    workers = [
        WorkerPlan(
            worker_id=f"{spec.role}-{number}",
            role=spec.role,
            device=device,
            spec=spec,
            residency=resting,
            command=worker_command(section),
            threads=section.params.threads_per_worker,
        )
        for section, spec, devices in (
            (config.diffusion_model, editor_spec(config), layout.editors),
            (config.reward_model, reward_spec(config), layout.rewards),
        )
        for number, device in enumerate(devices)
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


def _away(config: Config, layout: Layout) -> m.Residency:
    """Where models wait for a shared device: in host memory if all of them fit, else on disk."""
    sizes = [_size(config.diffusion_model)] * len(layout.editors) + [_size(config.reward_model)] * len(layout.rewards)
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return "disk"
    return off_device(known, psutil.virtual_memory().available)


def _size(section: ModelSection) -> int | None:
    """Bytes of the model's weights; 0 for a model that uses no device, None if not known."""
    if not section.holds_gpu:
        return 0
    name, entry_file = section.params.model_name, section.declaration.entry_file
    return weight_bytes(name, entry_file) if name and entry_file else None
