"""Makes run directories for series: the ledgers of simulated checkpoints, written by the code that runs use.

Scores are 0 to 10. Each pair has a difficulty of its own, which all checkpoints share, so that paired differences vary
less than scores do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scheduler.store.rows import Row
from tests.scheduler.rows import edited, planned, scored, sha, stage_end
from tests.scheduler.saved import saved_run

CATEGORIES = ("add", "remove", "style")


def manifest_of(model: str, **changed: Any) -> dict[str, Any]:
    """The manifest of a run of this checkpoint."""
    return {
        "started": "2026-01-01T12:00:00+0000",
        "data": {"path": "bench.json", "sha256": sha("bench.json")},
        "prompts_sha256": sha("prompts"),
        "samples_per_pair": 1,
        "reward_passes": 1,
        "editor": {"type": "simulated", "model_name": model, "parameters": {"num_inference_steps": 4}},
        "reward": {"type": "simulated", "model_name": "judge", "parameters": {"score_range": [0, 10]}},
        "workers": [],
    } | changed


def checkpoint(output_dir: Path, model: str, scores: Sequence[float | None], *, stamp: str, **changed: Any) -> Path:
    """A run with scores of the pairs ``0``, ``1``, ...; None is a pair that is not done. Returns the directory."""
    return saved_run(output_dir, list(_rows(scores)), stamp=stamp, manifest=manifest_of(model, **changed))


def simulated_checkpoints(output_dir: Path, runs: int, pairs: int, *, seed: int = 0, gain: float = 0.1) -> list[Path]:
    """Runs of checkpoints 100, 200, ..., each better than the one before by ``gain`` on average."""
    generator = random.Random(seed)  # noqa: S311 - statistics
    difficulty = [generator.uniform(2.0, 8.0) for _ in range(pairs)]
    return [
        checkpoint(
            output_dir,
            f"/train/out/checkpoint-{100 * (number + 1)}",
            [_in_range(generator.gauss(middle + gain * number, 1.0)) for middle in difficulty],
            stamp=f"20260101_{120000 + number}",
        )
        for number in range(runs)
    ]


def _in_range(score: float) -> float:
    return float(round(min(10.0, max(0.0, score))))


def _rows(scores: Sequence[float | None]) -> Iterator[Row]:
    for number in range(len(scores)):
        yield planned(str(number), CATEGORIES[number % len(CATEGORIES)])
    for number, score in enumerate(scores):
        if score is not None:
            category = CATEGORIES[number % len(CATEGORIES)]
            yield edited(str(number), category)
            yield scored(str(number), score, category)
    yield stage_end("edit", wall=90.0, device=80.0, workers=1)
    yield stage_end("score", wall=100.0, device=50.0, workers=1)
