"""Computes shares of the ideal from when each pair was on a device and delivered. Times are in seconds."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """One pair: when a device started and finished it, and when its encoded image was delivered."""

    started: float
    finished: float
    delivered: float


@dataclass(frozen=True)
class Throughput:
    """One contender's result.

    ``device_wall_seconds`` is from a device's first start to a device's last end, ``delivered_wall_seconds`` from the
    same start to the last delivered image. ``busy`` is device seconds / (device wall x devices), as in reports; it
    counts a device that is held too long as busy. ``share`` does not: it is the ideal wall / the delivered wall.
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
        """Lost device seconds per pair: (the delivered wall - the ideal wall) x devices / pairs."""
        return (self.delivered_wall_seconds - self.ideal_seconds) * self.devices / self.pairs

    @property
    def pairs_per_second(self) -> float:
        """Pairs per second, from the first start to the last delivered image."""
        return self.pairs / self.delivered_wall_seconds

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dict."""
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
    """The wall time if only the devices took time: each takes the next pair, in order, when it is free.

    For equal times and a multiple of the devices that is pairs / devices x time.
    """
    free_at = [0.0] * devices
    for length in seconds:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)
