"""The training step of a checkpoint, as trainers write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.base.files import read_json

_STEP = re.compile(r"(?:checkpoint|ckpt|steps?|iter(?:ation)?)[-_=.]?([0-9]{1,12})(?![0-9])", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,12}")
_MOST = 10**12


def step_in_name(model: str) -> int | None:
    """Return the step in a checkpoint's path or name: ``checkpoint-900``, ``global_step900``, ``epoch=3-step=900``,
    ``checkpoint-900/pipeline``, or a folder that is named by its step; None if there is none.
    """
    parts = [part for part in model.split("/") if part not in ("", ".")][-2:]
    if parts and _NUMBER.fullmatch(parts[-1]):
        return int(parts[-1])
    found = [step for part in parts for step in _STEP.findall(part)]
    return int(found[-1]) if found else None


def checkpoint_step(model: str) -> int | None:
    """Return the step of a checkpoint: that in its name, else ``global_step`` of its ``trainer_state.json``."""
    step = step_in_name(model)
    if step is not None:
        return step
    state = read_json(Path(model).expanduser() / "trainer_state.json").get("global_step")
    return state if type(state) is int and 0 <= state < _MOST else None


def recorded_step(manifest: Mapping[str, Any]) -> int | None:
    """Return the step of the checkpoint that a run evaluated; a manifest of an older version has only its name."""
    editor = manifest.get("editor")
    if not isinstance(editor, Mapping):
        return None
    step, model = editor.get("step"), editor.get("model_name")
    if type(step) is int and 0 <= step < _MOST:
        return step
    return step_in_name(model) if isinstance(model, str) else None
