"""The training step of a run's checkpoint, and the training that it comes from: by the name of its folder, else by the
``trainer_state.json`` that trainers leave in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from scheduler.base.files import read_json

_STEP = re.compile(
    r"(?:.*[-_.])?(?:checkpoint|ckpt|global[-_]?step|steps?|iters?|iterations?|epochs?)[-_=.]?0*(\d{1,12})",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"0*(\d{1,12})")
_INNER_FOLDERS = 2
"""A checkpoint's folder may have the weights in a folder of its own, as in ``checkpoint-500/transformer/ema``."""


def run_step(manifest: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return the step of the checkpoint that a run evaluated, and the folder that has the checkpoints of its training.

    Both are None if the run had no checkpoint with a step.
    """
    for place in _checkpoints(manifest):
        step, training = checkpoint_step(place)
        if step is not None:
            return step, training
    return None, None


def checkpoint_step(place: str) -> tuple[int | None, str | None]:
    """Return the step of a checkpoint by its path, and the folder that it lies in; None for both without a step."""
    path = PurePath(place)
    for folder in (path, *path.parents)[: _INNER_FOLDERS + 1]:
        match = _STEP.fullmatch(folder.name) or (_NUMBER.fullmatch(folder.name) if folder == path else None)
        if match:
            return int(match.group(1)), str(folder.parent)
    step = read_json(Path(place) / "trainer_state.json").get("global_step") if path.is_absolute() else None
    return (step, str(path.parent)) if isinstance(step, int) and 0 <= step < 10**12 else (None, None)


def _checkpoints(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What a training may have made of the editor: LoRAs, a transformer, or the whole model; or the place of edits."""
    editor, edits = _mapping(manifest.get("editor")), _mapping(manifest.get("edits"))
    load = _mapping(editor.get("load"))
    loras = load.get("lora") or _mapping(load.get("optimizations")).get("lora")
    paths = [lora.get("path") for lora in loras if isinstance(lora, Mapping)] if isinstance(loras, list) else []
    for path in (edits.get("from"), *paths, load.get("transformer_path"), editor.get("model_name")):
        if isinstance(path, str) and path:
            yield path


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
