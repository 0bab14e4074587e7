"""The bench of sweeps: who waits how long between two checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scripts.bench.pictures import write_benchmark
from scripts.bench.sweep import measure_waits
from scripts.bench.workplace import workplace


@pytest.mark.slow
def test_the_waits_between_checkpoints_are_measured_and_nothing_is_left() -> None:
    raw: list[Mapping[str, Any]] = []
    with workplace() as place:
        data = write_benchmark(place.folder / "data.json", categories=1, pairs=2, size=32)
        checkpoints = [str(place.folder / f"checkpoint-{number}") for number in (1, 2)]
        editor = {"type": "simulated", "device_ids": ["cpu"], "latency_ms": 1, "load_seconds": 0.1}
        reward = {"type": "simulated", "device": "cpu", "latency_ms": 1, "load_seconds": 0.1}
        ratios = measure_waits(place, data, (editor, reward), checkpoints, raw.append)
    assert [ratio.figure for ratio in ratios] == ["sweep: warm pool", "sweep: new pools"]
    assert [numbers["who"] for numbers in raw] == ["sweep", "warm pool", "new pools"]
    assert all(len(numbers["waits"]) == 1 and numbers["seconds"] > 0 for numbers in raw)
    assert not place.folder.exists()
