"""From when each pair was on a device and delivered, to shares of the ideal. Pure arithmetic, times in seconds."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """One pair: when a device began and ended with it, and when its encoded image was where it belongs."""

    started: float
    finished: float
    delivered: float


@dataclass(frozen=True)
class Throughput:
    """How one contender did.

    ``device_wall_seconds`` is from the first start to the last end of a device, ``delivered_wall_seconds`` from the
    same start to the last image delivered. ``busy`` is device seconds / (device wall x devices), as reports have it;
    a device that is held too long counts as busy in it, so it flatters whoever wakes up late. ``share`` does not: it
    is the ideal wall / the delivered wall.
    """

    pairs: int
    devices: int
    ideal_seconds: float
    device_seconds: float
    device_wall_seconds: float
    delivered_wall_seconds: float
    busy: float
    share: float

    @property
    def lost_per_pair(self) -> float:
        """Device seconds that each pair cost beyond its own: all devices, for as long as the wall was too long."""
        return (self.delivered_wall_seconds - self.ideal_seconds) * self.devices / self.pairs

    @property
    def pairs_per_second(self) -> float:
        """From the first start to the last image delivered."""
        return self.pairs / self.delivered_wall_seconds

    def as_dict(self) -> dict[str, Any]:
        """As plain numbers."""
        return asdict(self)


def throughput(spans: Sequence[Span], devices: int, ideal_seconds: float) -> Throughput:
    """Sum up a run of at least one pair."""
    first = min(span.started for span in spans)
    device_wall = max(span.finished for span in spans) - first
    delivered_wall = max(span.delivered for span in spans) - first
    device_seconds = sum(span.finished - span.started for span in spans)
    return Throughput(
        pairs=len(spans),
        devices=devices,
        ideal_seconds=ideal_seconds,
        device_seconds=device_seconds,
        device_wall_seconds=device_wall,
        delivered_wall_seconds=delivered_wall,
        busy=device_seconds / (device_wall * devices),
        share=ideal_seconds / delivered_wall,
    )


def ideal_wall(seconds: Sequence[float], devices: int) -> float:
    """The wall time if nothing but the devices took any: each takes the next pair, in order, when it is free.

    For equal times and a multiple of the devices that is pairs / devices x time.
    """
    free_at = [0.0] * devices
    for length in seconds:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)
