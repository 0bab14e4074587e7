"""How many images per second the reward scores with ``logits``, compared with generating a reply of 128 tokens.

``python -m scripts.bench.logits JOB`` measures the worker's own class with the tiny model, on one CPU thread. The tiny
model generates noise, which always reaches the limit of 128 tokens.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocol.messages import ModelSpec, Prompt
from scripts.bench.pictures import picture
from scripts.bench.runs import BenchError
from scripts.bench.settings import Ratio, Record, Settings, at_least
from scripts.bench.workplace import Workplace
from scripts.tiny_models.catalog import MODELS
from workers.interface import Reward, ScoreRequest
from workers.models.registry import make_model

_BATCH = 4
_SIZE = 256
_MAX_PIXELS = 112 * 112
_MODEL = "reward"
_TURNS = 4
"""Repetitions per ``--repeat``, since each is short."""


def measure_logits(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Score the same images and prompts, in the same batches, both ways."""
    model = MODELS[_MODEL].current_or_built(place.folder / "logits-reward")
    folder = place.new_folder("p")
    job = folder / "job.json"
    content = {"model": str(model), "images": settings.scored_images, "tokens": settings.reply_tokens}
    job.write_text(json.dumps({**content, "repeat": settings.repeat * _TURNS}), encoding="utf-8")
    place.python("-m", "scripts.bench.logits", str(job))
    rates: dict[str, float] = json.loads((folder / "rates.json").read_text(encoding="utf-8"))
    place.clear()
    record({"figure": "logits", "images_per_second": rates, **content})
    meaning = f"images per second, scoring: logits / generate ({settings.reply_tokens} tokens)"
    ratio = rates["logits"] / rates["generate"]
    return [Ratio("logits", "warmbench, tiny real model", ratio, meaning, target=at_least(6))]


def images_per_second(model: str, images: int, tokens: int, repeat: int) -> dict[str, float]:
    """The rates of ``generate`` and ``logits``, each the best of ``repeat`` measurements.

    Raises:
        BenchError: a reply was too short.
    """
    importlib.import_module("torch").set_num_threads(1)
    reward = make_model(ModelSpec(role="reward", type="qwen3_vl", name=model, params={"dtype": "float32"}), "cpu")
    assert isinstance(reward, Reward)  # noqa: S101 - the catalog has it so
    reward.prepare()
    reward.load("device")
    requests = [score_request(number, _SIZE) for number in range(images)]
    steps = {"logits": 1, "generate": tokens}
    best = dict.fromkeys(steps, 0.0)
    for scoring in steps:  # warm up
        _seconds(reward, requests[:_BATCH], {"scoring": scoring, "max_new_tokens": 2}, 1)
    for _ in range(repeat):
        for scoring, last in steps.items():
            parameters = {"scoring": scoring, "max_new_tokens": tokens}
            batches = [requests[begin : begin + _BATCH] for begin in range(0, images, _BATCH)]
            seconds = sum(_seconds(reward, batch, parameters, last) for batch in batches)
            best[scoring] = max(best[scoring], images / seconds)
    return best


def _seconds(reward: Reward, batch: Sequence[ScoreRequest], parameters: dict[str, Any], last_step: int) -> float:
    """Seconds until the last step of the first reply. The retry of an unreadable reply does not count."""
    ticks: list[float] = []
    started = time.perf_counter()
    more = {"batch_size": _BATCH, "max_pixels": _MAX_PIXELS}
    reward.score(batch, {**parameters, **more}, lambda _step, _steps: ticks.append(time.perf_counter()))
    if parameters["scoring"] == "logits":
        return time.perf_counter() - started
    if len(ticks) < last_step:
        raise BenchError(f"the model ended its reply after {len(ticks)} tokens")
    return ticks[last_step - 1] - started


def score_request(number: int, side: int) -> ScoreRequest:
    """A question about a drawn picture of ``side`` x ``side`` pixels; each number gives another picture."""
    prompt = Prompt(
        aspect="overall",
        system="You judge how well an image was edited.",
        user="The source shows shapes and light. The edit was to invert the colours. Give a score from 0 to 10.",
    )
    return ScoreRequest(
        image=picture(number, side), source=None, prompt=prompt, key=f"category/{number}", image_sha256="0" * 64
    )


def _main(job: Path) -> None:
    content = json.loads(job.read_text(encoding="utf-8"))
    rates = images_per_second(content["model"], content["images"], content["tokens"], content["repeat"])
    (job.parent / "rates.json").write_text(json.dumps(rates), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
