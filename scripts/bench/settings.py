"""What a bench is asked to do, and the words in which it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

EDITORS = 6
IMAGE_SIZE = 512


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    ``pairs`` is of each throughput run and best a multiple of the editors, ``repeat`` how often each contender runs
    (the best counts). The times are those of the simulated devices; they are fixed on the command line, since figures
    of other times are other figures.
    """

    pairs: int = 240
    repeat: int = 1
    latency_ms: float = 200.0
    spread_latency_ms: float = 100.0
    spread_sigma: float = 0.4
    load_seconds: float = 3.0
    isolation_batch_ms: float = 1000.0


@dataclass(frozen=True)
class Ratio:
    """One figure: ``value`` is a ratio of two things that this run measured, and ``meaning`` says of which.

    ``busy`` (throughput only) is the part of the devices' time in which they worked.
    """

    figure: str
    who: str
    value: float
    meaning: str
    busy: float | None = None


Record = Callable[[Mapping[str, Any]], None]
"""Takes the raw numbers of one measurement as soon as it is made."""
