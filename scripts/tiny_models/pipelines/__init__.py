"""Builds tiny editing pipelines of diffusers: the real classes, a few thousand random weights each, no download.

An edit takes a second or less on one CPU core.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scripts.tiny_models.editor import build_editor
from scripts.tiny_models.pipelines import flux, glm_and_others, qwen, stable_diffusion
from scripts.tiny_models.pipelines.parts import Processor
from scripts.tiny_models.weights import fill_weights
from workers.models.editors.pipeline_facts import ONLY_DTYPE

BUILDERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "BriaFiboEditPipeline": glm_and_others.bria,
    "ChronoEditPipeline": glm_and_others.chrono_edit,
    "DreamLitePipeline": qwen.dream_lite,
    "Flux2KleinKVPipeline": partial(flux.flux2_klein, distilled=True),
    "Flux2KleinPipeline": flux.flux2_klein,
    "Flux2Pipeline": flux.flux2,
    "FluxKontextPipeline": flux.flux_kontext,
    "GlmImagePipeline": glm_and_others.glm_image,
    "JoyImageEditPipeline": qwen.joy_image,
    "JoyImageEditPlusPipeline": partial(qwen.joy_image, plus=True),
    "Kandinsky5I2IPipeline": qwen.kandinsky,
    "LongCatImageEditPipeline": qwen.longcat,
    "OmniGenPipeline": glm_and_others.omnigen,
    "QwenImage21Pipeline": qwen.qwen_image_21,
    "StableDiffusionInstructPix2PixPipeline": stable_diffusion.instruct_pix2pix,
    "StableDiffusionXLInstructPix2PixPipeline": stable_diffusion.instruct_pix2pix_xl,
    "ZImageOmniPipeline": glm_and_others.z_image_omni,
}
"""The components of each class that can be built, and the settings of the pipeline itself."""

_QWEN = ("QwenImageEditPipeline", "QwenImageEditPlusPipeline")
CLASSES = tuple(sorted((*BUILDERS, *_QWEN)))
"""The classes that ``build_pipeline`` can build."""


def build_pipeline(name: str, folder: Path, *, seed: int = 0) -> None:
    """Write a checkpoint of the pipeline class ``name`` into ``folder``."""
    import diffusers
    import torch

    if name in _QWEN:
        build_editor(folder, seed=seed, pipeline=name)
        return
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = {"_class_name": name, "_diffusers_version": diffusers.__version__}
    for part, component in BUILDERS[name]().items():
        if hasattr(component, "parameters"):
            fill_weights(component, seed)
            if name in ONLY_DTYPE:
                component.to(getattr(torch, ONLY_DTYPE[name]))
        if hasattr(component, "save_pretrained"):
            component.save_pretrained(folder / part)
            index[part] = _class_path(component)
        else:
            index[part] = [None, None] if component is None else component
    # Written last, because a folder without it is no model.
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _class_path(component: Any) -> list[str]:
    if isinstance(component, Processor):
        return ["transformers", component.name]
    # Without torchvision an image processor is of the class for Pillow; on the hub it has its usual name.
    name = type(component).__name__.removesuffix("Pil")
    return [type(component).__module__.partition(".")[0], name]
