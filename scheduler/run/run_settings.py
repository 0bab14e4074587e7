"""What a run asks of the pool, by its config and its stages."""

from __future__ import annotations

import math

from protocol.messages import ModelSpec, Role
from scheduler.base.stages import ROLES
from scheduler.config.interpreters import worker_command
from scheduler.config.models import ModelSection
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.pool.settings import RunSettings
from scheduler.run.prepare import Prepared


def run_settings(prepared: Prepared, wire_id: str, *, keep_warm: bool) -> RunSettings:
    """Return the settings of a run with this id on the wire."""
    config, layout, stages = prepared.config, prepared.layout, prepared.stages
    times = config.scheduler
    limit = times.max_failures
    if isinstance(limit, float):
        limit = math.floor(limit * len(prepared.benchmark.pairs))
    devices: dict[Role, tuple[str, ...]] = {"editor": layout.editors, "reward": layout.rewards}
    specs: dict[Role, ModelSpec] = {"editor": editor_spec(config), "reward": reward_spec(config)}
    sections: dict[Role, ModelSection] = {"editor": config.diffusion_model, "reward": config.reward_model}
    elsewhere, roles = config.pool.elsewhere, [ROLES[stage] for stage in stages]
    return RunSettings(
        run=wire_id,
        swap=layout.residency == "swap",
        # One stage alone takes no turns, but the other role's models may hold its devices.
        swap_if_shared=times.residency == "auto" or (times.residency == "swap" and len(stages) == 1),
        devices={role: devices[role] for role in roles},
        keep_warm=keep_warm,
        heartbeat_seconds=times.heartbeat_seconds,
        dead_after_seconds=times.dead_after_seconds,
        orphan_seconds=config.pool.orphan_seconds,
        max_failures=limit,
        specs={role: specs[role] for role in roles},
        commands={role: worker_command(sections[role], elsewhere=elsewhere) for role in roles},
    )
