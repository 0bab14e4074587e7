"""A plan as a config, and as the audit needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.plan import Models, Plan
from tests.set_up import TINY_MODELS
from workers.models.simulation import Simulation


def sections(
    plan: Plan, data: Path, changes: Counter[str], machines: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The config's sections, after these changes: more steps, another seed, another number of editors. ``machines`` is
    what it says about those of the workers.
    """
    editors = max(1, plan.editors.count - 1) if changes["editors"] % 2 else plan.editors.count
    editor: dict[str, Any] = {
        "enable_batch_sync": plan.synchronized,
        "num_inference_steps": 2 + changes["steps"],
        "seed": 5 * changes["seed"],
    }
    reward: dict[str, Any] = {"batch_size": plan.batch_size, "compare_with_original": plan.with_source}
    if plan.real:
        editor |= {"model_name": str(TINY_MODELS / "editor"), "device": "cpu", "dtype": "float32"}
        reward |= {"model_name": str(TINY_MODELS / "reward-trained"), "device": "cpu", "dtype": "float32"}
    else:
        editor |= _simulated(plan.editors)
        reward |= _simulated(plan.rewards)
        if plan.placer != "join":
            editor["device_ids"] = _devices(plan, editors)
            reward |= {"device": "auto", "device_ids": _devices(plan, plan.rewards.count)}
    return {
        "benchmark": {"data_path": str(data)},
        "diffusion_model": {"type": "qwen_image_edit" if plan.real else "simulated", "params": editor},
        "reward_model": {"type": "qwen3_vl" if plan.real else "simulated", "params": reward},
        "pool": {"name": "bench", "load_in_parallel": True, **_pool(plan, machines or {})},
        "evaluation": {
            "save_generated_images": plan.keep_images,
            "samples_per_pair": plan.samples,
            "reward_passes": plan.passes,
        },
        "scheduler": {
            "residency": "swap" if plan.placement == "swap" else "auto",
            "round_size": plan.round_size,
            "heartbeat_seconds": plan.heartbeat_seconds,
            "dead_after_seconds": plan.dead_after_seconds,
            "job_timeout_seconds": plan.job_timeout_seconds,
        },
    }


def simulation(plan: Plan, changes: Counter[str]) -> tuple[Simulation | None, Simulation | None, int]:
    """The simulated editor and reward of the last part, and its seed; None for real models."""
    seed = 5 * changes["seed"]
    if plan.real:
        return None, None, seed
    return Simulation(faults=plan.editors.faults), Simulation(faults=plan.rewards.faults), seed  # type: ignore[arg-type]


def _pool(plan: Plan, machines: Mapping[str, Any]) -> dict[str, Any]:
    if plan.placer == "local":
        return {"transport": plan.transport}
    # Workers that have lost their launcher end soon, and others in their places join the next one.
    return {"placer": plan.placer, "orphan_seconds": 2, **machines}


def _simulated(models: Models) -> dict[str, Any]:
    return {
        "latency_ms": models.latency_ms,
        "sigma": models.sigma,
        "place_seconds": models.place_seconds,
        "load_seconds": models.load_seconds,
        "faults": models.faults,
    }


def _devices(plan: Plan, count: int) -> list[int | str]:
    return list(range(count)) if plan.placement == "shared" else ["cpu"] * count
