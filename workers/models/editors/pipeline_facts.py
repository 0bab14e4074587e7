"""What is known of the editing pipelines of diffusers beyond their signatures, as data with its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PRESET_EDITIONS = ("2026-11",)
"""An edition never changes once results were made with it: it stands for the arguments in their identities."""


@dataclass(frozen=True)
class Preset:
    """Arguments that differ from the defaults of the class, and where they are from.

    With ``distilled``, only for checkpoints that say so, or say that they are not.
    """

    pipeline: str
    arguments: Mapping[str, Any]
    source: str
    distilled: bool | None = None


_GEDIT_V2 = "GEditBench v2, `workflows/generation.py`"

PRESETS = (
    Preset("QwenImageEditPipeline", {"negative_prompt": " "}, _GEDIT_V2),
    Preset("QwenImageEditPlusPipeline", {"num_inference_steps": 40, "negative_prompt": " "}, _GEDIT_V2),
    Preset("FluxKontextPipeline", {"guidance_scale": 2.5}, "diffusers, the example of the class"),
    Preset("Flux2KleinPipeline", {"num_inference_steps": 4}, _GEDIT_V2, distilled=True),
    Preset("ChronoEditPipeline", {"num_frames": 5}, "diffusers, the example of the class"),
    Preset(
        "StableDiffusionXLInstructPix2PixPipeline",
        {"num_inference_steps": 30, "guidance_scale": 3.0},
        "diffusers, the example of the class",
    ),
)

SEVERAL_IMAGES = {
    "BriaFiboEditPipeline",
    "Flux2KleinKVPipeline",
    "Flux2KleinPipeline",
    "Flux2Pipeline",
    "GlmImagePipeline",
    "JoyImageEditPlusPipeline",
    "OmniGenPipeline",
    "QwenImage21Pipeline",
    "QwenImageEditPlusPipeline",
    "ZImageOmniPipeline",
}
"""The classes that take several source images for one edit. For others a list of images is a batch, or an error."""

ALWAYS_A_LIST = {"JoyImageEditPlusPipeline", "OmniGenPipeline"}
"""The classes that take a list also of one image."""

IMAGE_TAGS = {"OmniGenPipeline": "<img><|image_{number}|></img>"}
"""What the instruction has to hold for each image, which are counted from 1."""

JSON_INSTRUCTION = {"BriaFiboEditPipeline": "edit_instruction"}
"""The classes that take the instruction in a JSON object only, and its key there."""

ONE_IMAGE = {
    "ChronoEditPipeline",
    "DreamLitePipeline",
    "FluxKontextPipeline",
    "JoyImageEditPipeline",
    "Kandinsky5I2IPipeline",
    "LongCatImageEditPipeline",
    "QwenImageEditPipeline",
    "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
}

NO_EDITORS = {
    "QwenImageLayeredPipeline": "takes an image apart into layers and makes no edit",
}
"""Classes that take an image and are refused, with the reason."""

EMBEDDED_GUIDANCE = {"FluxKontextPipeline", "QwenImageEditPipeline", "QwenImageEditPlusPipeline"}
"""The classes that hand ``guidance_scale`` to the transformer, and only if that has ``guidance_embeds``."""

DISTILLED_WITHOUT_GUIDANCE = {"Flux2KleinPipeline"}
"""The classes that ignore ``guidance_scale`` if ``model_index.json`` has ``is_distilled``."""

GUIDANCE_ABOVE = {"ZImageOmniPipeline": 0.0}
"""From where on guidance is on, if not above 1."""

IMAGE_GUIDANCE_FROM = {"StableDiffusionInstructPix2PixPipeline": 1.0, "StableDiffusionXLInstructPix2PixPipeline": 1.0}
"""Below this ``image_guidance_scale`` the class switches off guidance by the instruction too."""

AREA = {"FluxKontextPipeline": "max_area"}
"""The classes that take the ratio only from ``height`` and ``width``, and the argument for the pixels."""


DENOISERS = ("transformer", "unet")
"""What the component is called that removes noise, by class."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What the files of a checkpoint say; None is what could not be read."""

    pipeline: str
    distilled: bool | None = None
    guidance_embeds: bool | None = None


def checkpoint_facts(read: Callable[[str], Mapping[str, Any] | None]) -> CheckpointFacts | None:
    """The facts of a checkpoint; ``read`` returns the content of a JSON file of it. None: its class is not known."""
    index = read("model_index.json")
    pipeline = index.get("_class_name") if index else None
    if index is None or not isinstance(pipeline, str):
        return None
    transformer = read("transformer/config.json")
    embeds = None if transformer is None else bool(transformer.get("guidance_embeds", False))
    return CheckpointFacts(pipeline, bool(index.get("is_distilled", False)), embeds)


def preset_of(facts: CheckpointFacts) -> Preset | None:
    """The preset for a checkpoint of this class, if there is one."""
    for preset in PRESETS:
        if preset.pipeline == facts.pipeline and preset.distilled in (None, facts.distilled):
            return preset
    return None
