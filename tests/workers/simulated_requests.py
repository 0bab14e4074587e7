"""Requests for the tests of simulated models, and a child process for fatal faults."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec, Prompt, Role
from workers.codecs import encode_png
from workers.interface import EditRequest, ScoreRequest


def spec_of(role: Role, **params: Any) -> ModelSpec:
    return ModelSpec(role=role, type="simulated", params=params)


def edit_request(
    key: str = "物理/1", *, image: Image.Image | None = None, seed: int = 0, **parameters: Any
) -> EditRequest:
    return EditRequest(
        image=image or Image.new("RGB", (4, 3), (10, 20, 30)),
        instruction="invert it",
        seed=seed,
        key=key,
        parameters=parameters,
    )


def score_request(key: str = "物理/1", *, image: Image.Image | None = None, aspect: str = "") -> ScoreRequest:
    image = image or Image.new("RGB", (4, 3), (10, 20, 30))
    return ScoreRequest(
        image=image,
        source=None,
        prompt=Prompt(aspect=aspect, system="", user=""),
        key=key,
        image_sha256=hashlib.sha256(encode_png(image)).hexdigest(),
    )


def no_progress(step: int, steps: int) -> None:
    """For tests that do not look at progress."""


REPOSITORY = Path(__file__).parents[2]
CHILD_EDIT = """
from tests.workers.simulated_requests import edit_request, spec_of
from workers.models.editors.simulated_editor import SimulatedEditor

def progress(step, steps):
    print(step, steps, flush=True)

request = edit_request(latency_ms=200, faults={{"{fault}": ["物理/1"]}})
SimulatedEditor(spec_of("editor"), "cpu").edit(request, progress)
"""


def start_child_edit(fault: str) -> subprocess.Popen[str]:
    """Edit one pair with this fault in another process, which prints a line for each progress."""
    code = CHILD_EDIT.format(fault=fault)
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, encoding="utf-8")
