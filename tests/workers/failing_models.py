"""Models that fail as their instruction, or the edit's key, says. A worker names them by ``class_path``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from protocol.messages import Judgement, Residency
from workers.interface import Editor, EditRequest, Progress, Reward, ScoreRequest, Scores

ILLEGAL_ACCESS = (
    "CUDA error: an illegal memory access was encountered\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
)


def fail(how: str) -> None:
    match how:
        case "illegal access":
            raise RuntimeError(ILLEGAL_ACCESS)
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "error":
            raise ZeroDivisionError("by zero")


class FailingEditor(Editor):
    """Fails by its instruction, or while it is loaded by its parameter ``load``; or finds that it is outdated."""

    def load(self, residency: Residency) -> None:
        fail(self.spec.params.get("load", ""))

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        fail(request.instruction)
        if request.instruction == "outdated":
            self.context.outdated("the model is another one now")
        return request.image


class FailingReward(Reward):
    """Fails by the user prompt."""

    def load(self, residency: Residency) -> None:
        pass

    def prepare_batch(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any]) -> Sequence[ScoreRequest]:
        if parameters.get("while_preparing"):
            fail(requests[0].prompt.user)
        return requests

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        fail(requests[0].prompt.user)
        return Scores([Judgement(score=1.0, method="simulated") for _ in requests])
