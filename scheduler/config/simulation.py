"""What simulated models can be told beside the keys of the real ones: how long they take, how they break."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator

from scheduler.config.problems import shown
from scheduler.config.values import Allowed, Section


def _chance(value: object) -> float | tuple[str, ...]:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) and "/" in item for item in value):
        return tuple(value)
    raise ValueError(f"must be a probability (0 to 1) or a list of pair keys (category/pair_id), found {shown(value)}")


Chance = Annotated[
    float | tuple[str, ...], PlainValidator(_chance), Allowed("probability from 0 to 1, or list of `category/pair_id`")
]


class Faults(Section):
    """Each is a probability per job, or a list of pair keys (``category/pair_id``) that it hits every time."""

    purpose: ClassVar[str] = (
        "How a simulated worker breaks: a probability, or a list of pair keys (`category/pair_id`)."
    )

    crash: Chance = Field(default=0.0, description="The process dies at once.")
    hang: Chance = Field(default=0.0, description="The device never comes back.")
    oom: Chance = Field(default=0.0, description="The device runs out of memory.")
    error: Chance = Field(default=0.0, description="The model raises an error of its own.")

    def switched_on(self) -> dict[str, float | list[str]]:
        """Kind to probability or keys of every fault that can happen."""
        found = {name: list(value) if isinstance(value, tuple) else value for name, value in self}
        return {name: value for name, value in found.items() if value}


class Simulation(Section):
    """The keys of a simulated worker's own."""

    latency_ms: float = Field(default=100.0, ge=0, le=3_600_000, description="Milliseconds a job holds the device.")
    sigma: float = Field(default=0.0, ge=0, le=5, description="Spread of the latency: log-normal, seeded per pair.")
    per_megapixel_ms: float = Field(
        default=0.0, ge=0, le=3_600_000, description="Milliseconds more per megapixel of the source image."
    )
    load_seconds: float = Field(default=0.0, ge=0, le=86_400, description="Seconds that loading the model takes.")
    place_seconds: float = Field(default=0.0, ge=0, le=86_400, description="Seconds that moving its weights takes.")
    burn_cpu: bool = Field(default=False, description="Spin instead of sleeping while the device is held.")
    faults: Faults = Field(default_factory=Faults, description="How the worker breaks, and how often.")


SIMULATION_KEYS = ("latency_ms", "sigma", "per_megapixel_ms", "burn_cpu", "faults")
"""Those that a single job needs; ``load_seconds`` and ``place_seconds`` are of the model as loaded."""
