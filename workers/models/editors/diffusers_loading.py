"""Loads any pipeline class of diffusers: all of its weights, from safetensors only, to the device or the host."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.editors.glm_image import return_rows
from workers.models.editors.pipeline_facts import CheckpointFacts, checkpoint_facts
from workers.models.editors.pipeline_loading import LIBRARIES, PipelineParts, load_module, pass_image_positions
from workers.models.editors.signatures import Signature, missing_package, signature_of
from workers.models.processors import (
    PROCESSOR_CLASSES,
    TEXT_PROCESSOR,
    TEXT_PROCESSOR_CLASSES,
    load_processor,
    load_text_processor,
)

_LEFT_OUT = {"safety_checker": "it would return black images as edits"}
"""Components that are not loaded, and why."""


def read_json(folder: Path) -> Callable[[str], Mapping[str, Any] | None]:
    """A reader of the JSON files of a folder; None for one that is not there or holds no mapping."""

    def read(name: str) -> Mapping[str, Any] | None:
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    return read


def examined(folder: Path) -> tuple[Signature, CheckpointFacts]:
    """What the pipeline of a folder takes, and what its files say.

    Raises:
        ModelError: of kind ``load``: it is no pipeline, none of a class of the installed diffusers, or one that needs
            a package which is missing.
    """
    facts = checkpoint_facts(read_json(folder))
    if facts is None:
        raise ModelError("load", f"editor model {folder} has no model_index.json that names a pipeline class")
    signature = signature_of(facts.pipeline)
    if signature is None:
        version = importlib.metadata.version("diffusers")
        message = f"is a {facts.pipeline}, which is no pipeline class of diffusers {version}"
        raise ModelError("load", f"editor model {folder} {message}; code from a model's folder is never run")
    if (package := missing_package(facts.pipeline)) is not None:
        message = f"is a {facts.pipeline}, which needs the package {package}: install it where the workers run"
        raise ModelError("load", f"editor model {folder} {message}")
    return signature, facts


def parts_of(folder: Path, pipeline: str, params: Mapping[str, Any]) -> PipelineParts:
    """How the pipeline of ``folder``, of this class, is loaded.

    Loading raises a ModelError of kind ``load`` if it needs code that is not in diffusers or transformers.
    """
    index = read_json(folder)("model_index.json") or {}

    def read(dtype: str, at: str) -> dict[str, Any]:
        return _components(folder, index, dtype, at, params.get("quantization"))

    return PipelineParts(read, lambda components: _assembled(folder, pipeline, components))


def _components(
    folder: Path, index: Mapping[str, Any], dtype: str, device: str, quantization: str | None
) -> dict[str, Any]:
    """The components that the pipeline does not load by itself: those with weights, and processors."""
    import torch

    components: dict[str, Any] = {}
    for name, source in index.items():
        if not isinstance(source, list) or source[:1] == [None]:
            continue
        if name in _LEFT_OUT:
            components[name] = None
            continue
        library, class_name = [*source, None, None][:2]
        if library not in LIBRARIES or not isinstance(class_name, str):
            reason = f"model_index.json has {name} from {library!r}; only {' and '.join(LIBRARIES)} are used"
            raise ModelError("load", f"editor model {folder}: {reason}")
        kind = getattr(importlib.import_module(library), class_name, None)
        if class_name in PROCESSOR_CLASSES:
            components[name] = load_processor(str(folder), subfolder=name)
        elif class_name in TEXT_PROCESSOR_CLASSES:
            if (processor := load_text_processor(str(folder), subfolder=name)) is not None:
                components[name] = processor
        elif isinstance(kind, type) and issubclass(kind, torch.nn.Module):
            components[name] = load_module(
                folder, name, [library, class_name], dtype, device, quantization=quantization
            )
    return components


def _assembled(folder: Path, name: str, components: Mapping[str, Any]) -> Any:
    """The pipeline with these components; tokenizers, processors and the scheduler are read from the folder."""
    import diffusers

    # In place of a class that cannot be imported, so diffusers cannot check it: set afterwards.
    stand_ins = {name: part for name, part in components.items() if type(part).__name__ == TEXT_PROCESSOR}
    given = {**components, **dict.fromkeys(stand_ins)}
    pipeline = getattr(diffusers, name).from_pretrained(str(folder), local_files_only=True, **given)
    pipeline.register_modules(**stand_ins)
    pipeline.set_progress_bar_config(disable=True)
    for component in components.values():
        if type(component).__name__ == "GlmImageForConditionalGeneration":
            return_rows(component)
        if hasattr(getattr(component, "config", None), "image_token_id"):
            with contextlib.suppress(TypeError):
                pass_image_positions(component)
    return pipeline
