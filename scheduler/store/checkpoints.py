"""The training step of a checkpoint, as trainers write it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from scheduler.base.files import read_json

_STEP = re.compile(r"(?:checkpoint|ckpt|steps?|iter(?:ation)?)[-_=.]?([0-9]{1,12})(?![0-9])", re.IGNORECASE)
_EPOCH = re.compile(r"epochs?[-_=.]?([0-9]{1,12})(?![0-9])", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,12}")
_MOST = 10**12


def step_in_name(model: str) -> int | None:
    """Return the step in a checkpoint's path or name: ``checkpoint-900``, ``global_step900``, ``epoch=3-step=900``,
    ``checkpoint-900/pipeline``, or a folder that is named by its step; else the epoch (``epoch-3``), else None.
    """
    parts = [part for part in model.split("/") if part not in ("", ".")][-2:]
    if parts and _NUMBER.fullmatch(parts[-1]):
        return int(parts[-1])
    found = [step for name in (_EPOCH, _STEP) for part in parts for step in name.findall(part)]
    return int(found[-1]) if found else None


def checkpoint_step(model: str) -> int | None:
    """Return the step of a checkpoint: that in its name, else ``global_step`` of its ``trainer_state.json``."""
    step = step_in_name(model)
    if step is not None:
        return step
    state = read_json(Path(model).expanduser() / "trainer_state.json").get("global_step")
    return state if type(state) is int and 0 <= state < _MOST else None


def recorded_step(manifest: Mapping[str, Any]) -> int | None:
    """Return the step of the checkpoint that a run evaluated; a manifest of an older version has only its name.

    A LoRA with a step is what was trained, whatever model it is for. Edits that were made elsewhere have the step in
    the name of their place.
    """
    return next((step for step, _ in _steps(manifest)), None)


def recorded_training(manifest: Mapping[str, Any]) -> str | None:
    """Return the folder in which the checkpoints of the same training lie; None if the run has no step."""
    name = next((name for _, name in _steps(manifest)), None)
    if name is None:
        return None
    path = PurePath(name)
    inner = step_in_name(path.name) is None and step_in_name(path.parent.name) is not None
    return str(path.parent.parent if inner else path.parent)


def _steps(manifest: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The steps of all that was trained, the most specific first, each with the path that it is the step of."""
    editor, edits = _mapping(manifest.get("editor")), _mapping(manifest.get("edits"))
    load = _mapping(editor.get("load"))
    loras = load.get("lora") or _mapping(load.get("optimizations")).get("lora")
    paths = [_mapping(lora).get("path") for lora in loras] if isinstance(loras, list) else []
    for path in (edits.get("from"), *paths, load.get("transformer_path")):
        if isinstance(path, str) and (step := step_in_name(path)) is not None:
            yield step, path
    step, model = editor.get("step"), editor.get("model_name")
    if isinstance(model, str):
        step = step if type(step) is int and 0 <= step < _MOST else step_in_name(model)
        if step is not None:
            yield step, model


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
