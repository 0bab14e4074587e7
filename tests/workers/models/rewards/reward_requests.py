"""What the tests of the reward ask it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec, Prompt
from workers.interface import ScoreRequest, Scores
from workers.models.rewards.qwen3_vl import Qwen3VLReward

LOGITS = {"scoring": "logits", "batch_size": 8}


def loaded(path: Path, kind: type[Qwen3VLReward] = Qwen3VLReward, **params: Any) -> Qwen3VLReward:
    model = kind(ModelSpec(role="reward", name=str(path), params={"dtype": "float32", **params}), "cpu")
    model.load("device")
    return model


def grey(level: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def asked(
    image: Image.Image, *, user: str = "请评估编辑后的图像质量。", aspect: str = "", source: Image.Image | None = None
) -> ScoreRequest:
    prompt = Prompt(aspect=aspect, system="你是一位专业的图像编辑质量评估专家。", user=user)
    return ScoreRequest(image=image, source=source, prompt=prompt, key="物理/1", image_sha256="0" * 64)


def score(model: Qwen3VLReward, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any]) -> Scores:
    return model.score(requests, parameters, lambda step, steps: None)
