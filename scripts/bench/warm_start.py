"""How long the first pair takes, on a new pool and on a warm one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.bench.pictures import PictureBenchmark
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import Ratio, Record, Settings
from scripts.bench.workplace import Workplace
from scripts.tiny_models.catalog import MODELS


def measure_warm_start(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Seconds from the start of a run's process to the first pair on a device, for a first and a second run on a pool.

    All models load in parallel, which is the first run's best case.
    """
    editor = {"device_ids": ["cpu", "cpu"], "latency_ms": 20, "load_seconds": settings.load_seconds}
    reward = {"device": "cpu", "latency_ms": 20, "load_seconds": settings.load_seconds}
    return [_measure(place, data, settings, record, ("warm-start", "warmbench, --keep-warm"), editor, reward)]


def measure_warm_start_real(
    place: Workplace, data: PictureBenchmark, settings: Settings, record: Record
) -> list[Ratio]:
    """The same with the real classes of diffusers and transformers, and the tiny models."""
    figure = ("warm-start-real", "warmbench, tiny real models")
    return [_measure(place, data, settings, record, figure, *real_models(place, settings))]


def real_models(place: Workplace, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections of an editor and a reward of the real classes, with the tiny models."""
    models = {name: str(MODELS[name].current_or_built(place.folder / name)) for name in ("editor", "reward")}
    real = {"dtype": "float32", "num_inference_steps": 2}
    editor = {
        "type": "multi_gpu_qwen_image_edit",
        "model_name": models["editor"],
        "device_ids": ["cpu"] * settings.real_editors,
        "height": 128,
        "width": 128,
        **real,
    }
    reward = {
        "type": "qwen3_vl",
        "model_name": models["reward"],
        "device": "cpu",
        "dtype": "float32",
        "scoring": "logits",
        "max_pixels": 12544,
    }
    return editor, reward


def _measure(
    place: Workplace,
    data: PictureBenchmark,
    settings: Settings,
    record: Record,
    figure: tuple[str, str],
    editor: Mapping[str, Any],
    reward: Mapping[str, Any],
) -> Ratio:
    name, who_measured = figure
    best = float("inf")
    for number in range(settings.repeat):
        seconds = {}
        for who in ("cold", "warm"):
            run = place.run(
                data.path,
                "--keep-warm",
                "--limit",
                "1",
                pool=name,
                editor=editor,
                reward=reward,
                sections={"pool": {"load_in_parallel": True}},
            )
            seconds[who] = _until_first_pair(run)
            record({"figure": name, "who": who, "repeat": number, "seconds": seconds[who]})
            place.clear()
        place.stop(name)
        best = min(best, seconds["warm"] / seconds["cold"])
    meaning = "the wait for the first pair, warm pool / new pool; less is better"
    return Ratio(name, who_measured, best, meaning)


def _until_first_pair(run: FinishedRun) -> float:
    return min(float(row["started"]) for row in run.of("edited")) - run.launched
