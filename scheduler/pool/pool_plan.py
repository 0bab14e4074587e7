"""The workers that a launcher has to start for a config."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from protocol import messages as m
from protocol.host_memory import available_memory
from protocol.plan import PoolPlan, PoolSettings, WorkerPlan
from protocol.pool import PoolCard
from scheduler.config.checks.model_lookup import stored_weights
from scheduler.config.document import Config
from scheduler.config.interpreters import worker_command
from scheduler.config.layout import Layout
from scheduler.config.models import ModelSection
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.pool.address import PoolUnavailableError
from scheduler.pool.matching import unequal_settings
from scheduler.pool.residency import Weights, off_device
from workers.models.fitting import needed_bytes, parts_of, spread_bytes


class PoolDiffersError(PoolUnavailableError):
    """The pool was launched with other settings than the config has."""


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
            command=worker_command(section, elsewhere=config.pool.elsewhere),
        )
        for section, spec, devices in (
            (config.diffusion_model, editor_spec(config), layout.editors),
            (config.reward_model, reward_spec(config), layout.rewards),
        )
        for number, device in enumerate(devices)
    ]
    return PoolPlan(
        name=config.pool_name,
        workers=workers,
        keep=keep,
        heartbeat_seconds=config.scheduler.heartbeat_seconds,
        dead_after_seconds=config.scheduler.dead_after_seconds,
        **msgspec.structs.asdict(pool_settings(config)),
    )


def pool_settings(config: Config) -> PoolSettings:
    """Return what the config decides for a pool's whole life."""
    pool = config.pool
    return PoolSettings(
        transport=pool.transport or "ipc",
        placer=pool.declaration.name if pool.declaration else pool.placer,
        listen=pool.listen or ("0.0.0.0" if pool.elsewhere else None),  # noqa: S104 - known keys only are admitted
        ports=pool.ports,
        orphan_seconds=pool.orphan_seconds,
        placer_options=pool.placer_options,
        load_in_parallel=config.pool.load_in_parallel,
        job_timeout_seconds=config.scheduler.job_timeout_seconds,
        load_timeout_seconds=config.scheduler.load_timeout_seconds,
    )


def refuse_unequal(name: str, card: PoolCard | None, config: Config) -> None:
    """Raise ``PoolDiffersError`` if the pool was launched with other settings than the config has."""
    unequal = unequal_settings(card.settings, pool_settings(config)) if card is not None else []
    if unequal:
        stop = shlex.join(["warmbench", "workers", "stop", "--config", str(config.path), "--pool", name])
        raise PoolDiffersError(
            f"pool {name} is up with other settings, which only a new launch changes: {', '.join(unequal)}. Make them "
            f"equal, or end the pool first: {stop}"
        )


def _away(config: Config, layout: Layout) -> m.Residency:
    """Where models wait for a shared device: in host memory if that has room for all of them, else on disk."""
    editor = expected_weights(config.diffusion_model, editor_spec(config))
    reward = expected_weights(config.reward_model, reward_spec(config))
    if editor is None or reward is None:
        return "disk"
    return off_device([editor] * len(layout.editors) + [reward] * len(layout.rewards), available_memory())


def expected_weights(section: ModelSection, spec: m.ModelSpec) -> Weights | None:
    """The weights that each worker of a section will hold, by the model's files; None if these are not known."""
    model, name = section.declaration, section.params.model_name
    if not section.holds_gpu:
        return Weights(model.role, 0, 0)
    paths = stored_weights(name, model.entry_file) if name and model.entry_file else None
    if paths is None:
        return None
    size = sum(path.stat().st_size for path in paths)
    own = size if model.host_copies is None else model.host_copies([*map(str, paths)], spec.params)
    return Weights(model.role, size, min(own, size))


def device_bytes(section: ModelSection, spec: m.ModelSpec, memory: Sequence[int]) -> list[int]:
    """How much of each of a worker's GPUs, which have this ``memory``, the weights of a section take at most, by the
    model's files; 0 if that is not known."""
    name, entry_file = section.params.model_name, section.declaration.entry_file
    smaller = (spec.params.get("optimizations") or {}).get("fp8")
    known = section.holds_gpu and section.class_path is None and not smaller and name and entry_file
    paths = stored_weights(name, entry_file) if known and name and entry_file else None
    parts = parts_of(paths or (), spec.params.get("dtype", "auto"))
    offload, quantization = spec.params.get("offload", "none"), spec.params.get("quantization")
    if len(memory) > 1:
        return spread_bytes(parts.values(), memory, spec.role)
    role = section.declaration.role
    return [needed_bytes(parts.values(), role=role, offload=offload, quantization=quantization)]
