"""Measurements by the product itself: a ``warmbench run`` on a benchmark of drawn pictures, and its output."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench.pictures import write_benchmark
from scripts.bench.runs import ActiveRun, BenchError, FinishedRun
from scripts.bench.workplace import Workplace
from scripts.full_size.jobs import OutOfTimeError

POOL = "full-size"
_NO_REWARD = {"device": "cpu", "latency_ms": 0}


@dataclass(frozen=True)
class Edits:
    """The seconds of a run's edits. ``first`` is the first edit, in which libraries choose their kernels; ``others``
    are those that count."""

    first: float
    others: Sequence[float]
    gaps: Sequence[float]

    @property
    def seconds(self) -> float:
        """The median without the first edit, unless there is no other."""
        return statistics.median(self.others) if self.others else self.first


def edits_of(rows: Sequence[Mapping[str, Any]]) -> Edits:
    """The edits in the ``edited`` rows of one device, at least one. If pairs have several samples, the later ones
    count: only they profit from what is kept of a pair."""
    ordered = sorted(rows, key=lambda row: float(row["started"]))
    spans = [(float(row["started"]), float(row["finished"])) for row in ordered]
    lengths = [finished - started for started, finished in spans]
    several = any(row["sample"] for row in ordered)
    others = [length for length, row in zip(lengths, ordered, strict=True) if row["sample"]] if several else lengths[1:]
    return Edits(lengths[0], others, [after[0] - before[1] for before, after in itertools.pairwise(spans)])


def edit_parameters(side: int, steps: int) -> dict[str, Any]:
    """The parameters of each edit: with guidance, each step runs the transformer twice."""
    size = {"height": side, "width": side}
    return {**size, "num_inference_steps": steps, "true_cfg_scale": 4.0, "negative_prompt": " "}


def editor_section(
    folder: str, *, device: str, dtype: str, side: int, steps: int, optimizations: Mapping[str, Any]
) -> dict[str, Any]:
    """The editor's section of a config, without barriers."""
    return {
        "type": "qwen_image_edit",
        "model_name": folder,
        "device": device,
        "dtype": dtype,
        **edit_parameters(side, steps),
        "enable_batch_sync": False,
        "optimizations": dict(optimizations),
    }


def run_edits(
    place: Workplace, editor: Mapping[str, Any], *, pairs: int, samples: int, seconds: float
) -> dict[str, Any]:
    """Edit ``pairs`` pairs on a new pool, with a reward that takes no time, and summarize the ledger.

    If the time ends, the edits that were made by then count; ``complete`` says so.

    Raises:
        BenchError: the run failed.
        OutOfTimeError: no edit was made in ``seconds``.
    """
    data = write_benchmark(place.folder / "pairs.json", categories=1, pairs=pairs, size=editor["height"])
    sections = {"scheduler": {"residency": "resident"}, "evaluation": {"samples_per_pair": samples}}
    active = place.start_run(data.path, pool=POOL, editor=editor, reward=_NO_REWARD, sections=sections)
    try:
        run = finished(active, seconds)
    except OutOfTimeError:
        rows = [row for row in active.rows() if row["event"] == "edited"]
        if not rows:
            raise
        return {"complete": False, **_figures(rows, active.launched)}
    return {
        "complete": True,
        **_figures(run.of("edited"), run.launched),
        "efficiency": run.report["performance"]["edit"]["efficiency"],
        "load_seconds": _load_seconds(run),
    }


def _figures(rows: Sequence[Mapping[str, Any]], launched: float) -> dict[str, Any]:
    edits = edits_of(rows)
    return {
        "start_seconds": min(float(row["started"]) for row in rows) - launched,
        "seconds_per_edit": edits.seconds,
        "first_edit_seconds": edits.first,
        "edit_seconds": list(edits.others),
        "gap_seconds": list(edits.gaps),
        "sha256": [row["sha256"] for row in sorted(rows, key=lambda row: (row["pair_id"], row["sample"]))],
    }


def run_switch(
    place: Workplace, editor: Mapping[str, Any], reward: Mapping[str, Any], *, pairs: int, seconds: float
) -> dict[str, Any]:
    """Edit, switch and score on one device; the switch is from the last edit's end to the first score's start.

    Raises:
        BenchError: the run failed.
        OutOfTimeError: it took longer than ``seconds``.
    """
    data = write_benchmark(place.folder / "pairs.json", categories=1, pairs=pairs, size=editor["height"])
    sections = {"scheduler": {"residency": "swap"}}
    run = finished(place.start_run(data.path, pool=POOL, editor=editor, reward=reward, sections=sections), seconds)
    left = max(float(row["finished"]) for row in run.of("edited"))
    started = min(float(row["started"]) for row in run.of("scored"))
    performance = run.report["performance"]
    return {
        "between_stages_seconds": started - left,
        "model_switches": performance["model_switches"],
        "model_switch_seconds": performance["model_switch_seconds"],
        "load_seconds": _load_seconds(run),
    }


def run_past_death(place: Workplace, editor: Mapping[str, Any], *, pairs: int, seconds: float) -> float:
    """Edit with a worker that a broken device ends at its first pair; return the seconds until a new one has edited.

    Raises:
        BenchError: not every pair was edited, or the worker did not end.
        OutOfTimeError: it took longer than ``seconds``.
    """
    data = write_benchmark(place.folder / "pairs.json", categories=1, pairs=pairs, size=64)
    sections = {"scheduler": {"residency": "resident"}}
    run = finished(place.start_run(data.path, pool=POOL, editor=editor, reward=_NO_REWARD, sections=sections), seconds)
    (log,) = (run.folder.parents[1] / "logs").iterdir()
    if "died (exit code" not in log.read_text(encoding="utf-8"):
        raise BenchError("the worker lived on after its device was broken")
    return min(float(row["finished"]) for row in run.of("edited")) - Path(editor["marker"]).stat().st_mtime


def finished(run: ActiveRun, seconds: float) -> FinishedRun:
    """Wait for the run's end, for at most ``seconds``.

    Raises:
        OutOfTimeError: it is still running; the workplace ends it.
        BenchError: its exit code is not 0.
    """
    try:
        run.process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired as error:
        raise OutOfTimeError("there was not enough time for the run") from error
    return run.finish()


def _load_seconds(run: FinishedRun) -> dict[str, float]:
    manifest = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    real = [worker for worker in manifest["workers"] if worker["size_bytes"]]
    return {worker["worker_id"]: worker["load_seconds"] for worker in real}
