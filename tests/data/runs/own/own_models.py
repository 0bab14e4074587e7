"""A user's editor and reward, each with parameters of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageStat

from protocol.messages import Judgement, Residency
from workers.interface import Editor, EditRequest, Progress, Reward, ScoreRequest, Scores


class Brightener(Editor):
    """Makes images brighter by the factor in its checkpoint, weakened by ``strength``."""

    def load(self, residency: Residency) -> None:
        self._factor = float(json.loads(self._checkpoint().read_text())["factor"])

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        factor = 1 + (self._factor - 1) * request.parameters["strength"]
        return ImageEnhance.Brightness(request.image).enhance(factor)

    def weight_files(self) -> Sequence[str]:
        return [str(self._checkpoint())]

    def _checkpoint(self) -> Path:
        return Path(str(self.spec.name)) / "brightness.json"


class BrightnessReward(Reward):
    """Scores how bright an image is; ``white_above`` counts as white."""

    def load(self, residency: Residency) -> None:
        """Nothing has to be read."""

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        low, high = parameters["score_range"]
        judgements = []
        for request in requests:
            brightness = float(ImageStat.Stat(request.image.convert("L")).mean[0])
            share = min(1.0, brightness / parameters["white_above"])
            judgements.append(Judgement(aspect=request.prompt.aspect, score=low + (high - low) * share))
        progress(len(requests), len(requests))
        return Scores(judgements)
