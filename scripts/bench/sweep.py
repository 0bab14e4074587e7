"""How long the devices wait between two checkpoints: in a sweep, in runs on a warm pool, and in runs on new pools."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from scripts.bench.pictures import PictureBenchmark
from scripts.bench.runs import read_rows
from scripts.bench.settings import Ratio, Record, Settings
from scripts.bench.warm_start import real_models
from scripts.bench.workplace import Workplace

_PAIRS = "2"
"""Per category: enough for the next checkpoint to be read while the last of them are edited."""

Rows = Sequence[Mapping[str, Any]]


def measure_sweep(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Seconds from the last score of one checkpoint to the first edit of the next, with the real classes of diffusers
    and transformers and tiny models: the median over all changes of the checkpoint.
    """
    editor, reward = real_models(place, settings)
    checkpoints = _checkpoints(Path(editor["model_name"]), place.folder / "training", settings.checkpoints)
    return measure_waits(place, data, (editor, reward), checkpoints, record)


def measure_waits(
    place: Workplace,
    data: PictureBenchmark,
    models: tuple[Mapping[str, Any], Mapping[str, Any]],
    checkpoints: Sequence[str],
    record: Record,
) -> list[Ratio]:
    """The same with these models."""
    seconds: dict[str, float] = {}
    for who in ("sweep", "warm pool", "new pools"):
        waits = [*map(_wait, pairwise(_runs(who, place, data, models, checkpoints)))]
        seconds[who] = median(waits)
        record({"figure": "sweep", "who": who, "waits": waits, "seconds": seconds[who]})
        place.stop("sweep")
        place.clear()
    wait = "the wait from a checkpoint's last score to the next one's first edit, in a sweep / in separate runs on"
    return [
        Ratio(
            f"sweep: {other}", "warmbench, a sweep", seconds["sweep"] / seconds[other], f"{wait} {on}; less is better"
        )
        for other, on in (("warm pool", "a warm pool"), ("new pools", "new pools"))
    ]


def _runs(
    who: str,
    place: Workplace,
    data: PictureBenchmark,
    models: tuple[Mapping[str, Any], Mapping[str, Any]],
    checkpoints: Sequence[str],
) -> list[Rows]:
    """The ledgers of the checkpoints' runs, in order."""
    editor, reward = models
    keep = ["--keep-warm"] if who == "warm pool" else []
    names = ["--editor-models", *checkpoints], *(["--editor-model", name] for name in checkpoints)
    ledgers: list[Rows] = []
    for options in names[:1] if who == "sweep" else names[1:]:
        run = place.start_run(data.path, "--limit", _PAIRS, *keep, *options, pool="sweep", editor=editor, reward=reward)
        run.wait()
        folders = [run.output / "runs" / name for name in _in_order(run.output)]
        ledgers += map(read_rows, folders)
    return ledgers


def _in_order(output: Path) -> list[str]:
    """The ids of the runs in this folder: of a sweep, in its order."""
    for sweep in output.glob("sweeps/*/sweep.json"):
        return [entry["run"] for entry in json.loads(sweep.read_text(encoding="utf-8"))["checkpoints"]]
    return [path.name for path in (output / "runs").iterdir() if path.is_dir()]


def _wait(runs: tuple[Rows, Rows]) -> float:
    before, after = runs
    last = max(float(row["finished"]) for row in before if row["event"] == "scored")
    return min(float(row["started"]) for row in after if row["event"] == "edited") - last


def _checkpoints(model: Path, training: Path, count: int) -> list[str]:
    """Copies of the model whose weights differ."""
    names = []
    for number in range(1, count + 1):
        folder = training / f"checkpoint-{number}"
        if not folder.exists():
            shutil.copytree(model, folder)
            weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
            content = bytearray(weights.read_bytes())
            content[-4] ^= number  # the lowest bits of the last weight
            weights.write_bytes(content)
        names.append(str(folder))
    return names
