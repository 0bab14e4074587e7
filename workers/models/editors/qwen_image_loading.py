"""Loads a Qwen-Image-Edit pipeline: all of its weights, from safetensors only, to the device or the host."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.editors.pipeline_loading import LIBRARIES, PipelineParts, load_module, pass_image_positions
from workers.models.processors import load_processor

PIPELINES = ("QwenImageEditPipeline", "QwenImageEditPlusPipeline")
MODULES = ("text_encoder", "transformer", "vae")


def prepare_imports() -> None:
    """Import what loading needs. Imports that fail are reported when the model loads."""
    with contextlib.suppress(ImportError):
        from diffusers import (  # noqa: F401
            AutoencoderKLQwenImage,
            QwenImageEditPipeline,
            QwenImageEditPlusPipeline,
            QwenImageTransformer2DModel,
        )
        from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer  # noqa: F401


def parts_of(folder: Path, params: Mapping[str, Any]) -> PipelineParts:
    """How the pipeline of ``folder`` is loaded.

    Raises:
        ModelError: of kind ``model_not_found`` (there is no pipeline) or ``load`` (it is another kind of pipeline).
    """
    index = read_index(folder)

    def read(dtype: str, at: str) -> dict[str, Any]:
        return {
            name: load_module(folder, name, index[name], dtype, at, quantization=params.get("quantization"))
            for name in MODULES
        }

    return PipelineParts(read, lambda modules: assemble(folder, modules))


def read_index(folder: Path) -> dict[str, Any]:
    """Return the checked ``model_index.json``: the classes of the pipeline and its components."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        reason = "has no model_index.json; an editor needs the folder of a whole diffusers pipeline"
        raise ModelError("model_not_found", f"editor model {folder} {reason}") from error
    except (OSError, ValueError) as error:
        raise ModelError("load", f"editor model {folder}: model_index.json can't be read: {error}") from error
    pipeline = index.get("_class_name") if isinstance(index, dict) else None
    if pipeline not in PIPELINES:
        expected = " or ".join(PIPELINES)
        raise ModelError("load", f"editor model {folder} is of the class {pipeline!r}; this editor runs {expected}")
    for name in MODULES:
        library, class_name = [*(index.get(name) or []), None, None][:2]
        if library not in LIBRARIES or not isinstance(class_name, str):
            raise ModelError("load", f"editor model {folder}: model_index.json names no usable class for {name}")
    return dict(index)


def assemble(folder: Path, modules: Mapping[str, Any]) -> Any:
    """Return the pipeline of ``folder`` with these modules, which are loaded."""
    from diffusers import DiffusionPipeline

    processor = load_processor(str(folder), subfolder="processor")
    pipeline = DiffusionPipeline.from_pretrained(str(folder), processor=processor, local_files_only=True, **modules)
    pipeline.set_progress_bar_config(disable=True)
    pass_image_positions(pipeline.text_encoder)
    return pipeline
