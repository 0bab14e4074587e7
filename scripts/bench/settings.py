"""The settings of the bench, and the types of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.bench.peers import DASK, PROCESSES, RAY


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    ``pairs`` is the number per throughput run (use a multiple of the editors), ``repeat`` how often each contender runs
    (the best counts), ``peers`` those of processes that ``throughput`` and ``spread`` compare with, beside the threads.
    The command line changes only the first two: the simulated times define the figures, and the other
    numbers keep each figure to a few seconds.
    """

    pairs: int = 240
    repeat: int = 1
    editors: int = 6
    image_size: int = 512
    peers: tuple[str, ...] = (PROCESSES, RAY, DASK)
    latency_ms: float = 200.0
    spread_latency_ms: float = 100.0
    spread_sigma: float = 0.4
    load_seconds: float = 3.0
    real_editors: int = 2
    checkpoints: int = 6
    isolation_batch_ms: float = 1000.0
    long_latency_ms: float = 1000.0
    long_rounds: int = 12
    sized_rounds: int = 20
    sized_per_megapixel_ms: float = 500.0
    burn_rounds: int = 20
    many_editors: int = 64
    many_rounds: int = 6
    many_latency_ms: float = 2000.0
    jobs: int = 3000
    idle_seconds: float = 10.0
    replay_scale: float = 0.1
    replay_counts: tuple[int, ...] = (50, 50, 54, 58, 58)
    large_megabytes: int = 500
    table_megabytes: int = 5000
    endless_pairs: int = 100_000
    endless_beginning: int = 10_000
    scored_images: int = 16
    reply_tokens: int = 128
    gallery_pairs: tuple[int, int] = (300, 10_000)
    gallery_frames: int = 180
    page_openings: int = 3
    series_pages: tuple[tuple[int, int], ...] = ((30, 300), (8, 10_000))
    judge_slots: tuple[int, ...] = (4, 32, 128)
    judge_items: int = 20
    judge_seconds: float = 1.0

    @property
    def devices(self) -> Mapping[str, Any]:
        """The editors' devices, for ``params``."""
        return {"device_ids": ["cpu"] * self.editors}


@dataclass(frozen=True)
class Target:
    """A figure's target: at least ``limit``, or with ``at_most``, at most ``limit``."""

    limit: float
    at_most: bool = False

    def met_by(self, value: float) -> bool:
        """Whether the value meets the target."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:.3g}"


@dataclass(frozen=True)
class Ratio:
    """One figure. ``value`` is the ratio of two measurements of this bench; ``meaning`` names them.

    (For the few that are not ratios, it names the unit.) ``busy``, for throughput only, is the share of the time in
    which the devices worked.
    """

    figure: str
    who: str
    value: float
    meaning: str
    busy: float | None = None
    target: Target | None = None


def at_least(limit: float) -> Target:
    """A target for a figure where more is better."""
    return Target(limit)


def at_most(limit: float) -> Target:
    """A target for a figure where less is better."""
    return Target(limit, at_most=True)


Record = Callable[[Mapping[str, Any]], None]
"""Stores the raw numbers of one measurement."""
