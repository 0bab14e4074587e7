"""What is known of the editing pipelines of diffusers beyond their signatures, as data with its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

PRESET_EDITIONS = ("2026-11",)
"""An edition never changes once results were made with it: it stands for the arguments in their identities."""


class Preset(Struct, frozen=True):
    """What is recommended for a class, and where that is from.

    Attributes:
        arguments: those that differ from the defaults of the class.
        distilled: only for checkpoints that say so, or say that they are not.
        area: the pixels of an edit that has the ratio of its source, for a class with one fixed size as its default.
    """

    pipeline: str
    arguments: Mapping[str, Any]
    source: str
    distilled: bool | None = None
    area: int | None = None


_GEDIT_V2 = "GEditBench v2, `workflows/generation.py`"
_EXAMPLE = "diffusers, the example of the class"
_OMNIGEN = "diffusers, the guide to OmniGen"
_CLASS = "diffusers, the class"

PRESETS = (
    Preset("BriaFiboEditPipeline", {}, _EXAMPLE),
    Preset("ChronoEditPipeline", {}, _EXAMPLE, area=720 * 1280),
    Preset("DreamLitePipeline", {}, _EXAMPLE),
    Preset("Flux2KleinKVPipeline", {}, _EXAMPLE),
    Preset("Flux2KleinPipeline", {"num_inference_steps": 4}, _GEDIT_V2, distilled=True),
    Preset("Flux2KleinPipeline", {}, _CLASS, distilled=False),
    Preset("Flux2Pipeline", {}, _CLASS),
    Preset("FluxKontextPipeline", {"guidance_scale": 2.5}, _EXAMPLE),
    Preset("GlmImagePipeline", {}, _EXAMPLE),
    Preset("JoyImageEditPipeline", {}, _EXAMPLE),
    Preset("JoyImageEditPlusPipeline", {}, _EXAMPLE),
    Preset("Kandinsky5I2IPipeline", {}, _EXAMPLE),
    Preset("LongCatImageEditPipeline", {}, _EXAMPLE),
    Preset("OmniGenPipeline", {"guidance_scale": 2.0, "use_input_image_size_as_output": True}, _OMNIGEN),
    Preset("QwenImage21Pipeline", {}, _CLASS),
    Preset("QwenImageEditPipeline", {"negative_prompt": " "}, _GEDIT_V2),
    Preset("QwenImageEditPlusPipeline", {"num_inference_steps": 40, "negative_prompt": " "}, _GEDIT_V2),
    Preset("StableDiffusionInstructPix2PixPipeline", {}, _EXAMPLE),
    Preset("StableDiffusionXLInstructPix2PixPipeline", {"num_inference_steps": 30, "guidance_scale": 3.0}, _EXAMPLE),
    Preset("ZImageOmniPipeline", {}, _CLASS),
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

ALWAYS_A_LIST = {"Flux2Pipeline", "GlmImagePipeline", "JoyImageEditPlusPipeline", "OmniGenPipeline"}
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

EMBEDDED_GUIDANCE = {"Flux2Pipeline", "FluxKontextPipeline", "QwenImageEditPipeline", "QwenImageEditPlusPipeline"}
"""The classes that hand ``guidance_scale`` to the transformer, and only if that has ``guidance_embeds``."""

DISTILLED_WITHOUT_GUIDANCE = {"Flux2KleinPipeline"}
"""The classes that ignore ``guidance_scale`` if ``model_index.json`` has ``is_distilled``."""

GUIDANCE_ABOVE = {"DreamLitePipeline": -1.0, "ZImageOmniPipeline": 0.0}
"""From where on guidance is on, if not above 1; below 0 for a class that has it always."""

IMAGE_GUIDANCE_FROM = {"StableDiffusionInstructPix2PixPipeline": 1.0, "StableDiffusionXLInstructPix2PixPipeline": 1.0}
"""Below this ``image_guidance_scale`` the class switches off guidance by the instruction too."""

AREA = {"FluxKontextPipeline": "max_area"}
"""The classes that take the ratio only from ``height`` and ``width``, and the argument for the pixels."""

OWN_SIZES = {"JoyImageEditPipeline", "Kandinsky5I2IPipeline"}
"""The classes that choose one of their own sizes, of about a megapixel, whatever ``height`` and ``width`` say."""

SIZE_STEP = {"GlmImagePipeline": 32, "QwenImage21Pipeline": 32}
"""What the sides of an edit have to be multiples of, if not of 16 pixels."""

FITTED_SOURCES = {"GlmImagePipeline"}
"""The classes whose source images need sides in these steps, and which need the size of the edit."""

WITH_ALPHA = {"QwenImage21Pipeline"}
"""The classes that see the transparency of a source image and make that of the edit."""

ONLY_DTYPE = {"ZImageOmniPipeline": "bfloat16"}
"""The classes that convert the source image to this dtype, whatever that of their weights."""

ONLY_WITH = {
    ("ChronoEditPipeline", "num_frames"): "enable_temporal_reasoning",
    ("ChronoEditPipeline", "num_temporal_reasoning_steps"): "enable_temporal_reasoning",
}
"""Arguments that the class ignores without another one that is true."""

NEEDED_PACKAGES: dict[str, str] = {"ChronoEditPipeline": "ftfy", "OmniGenPipeline": "torchvision"}
"""The classes that need a package which diffusers can do without."""

DENOISERS = ("transformer", "unet")
"""What the component is called that removes noise, by class."""


class CheckpointFacts(Struct, frozen=True):
    """What the files of a checkpoint say; None is what could not be read.

    With ``own_schedule`` it says itself how many steps there are.
    """

    pipeline: str
    distilled: bool | None = None
    guidance_embeds: bool | None = None
    own_schedule: bool = False


def checkpoint_facts(read: Callable[[str], Mapping[str, Any] | None]) -> CheckpointFacts | None:
    """The facts of a checkpoint; ``read`` returns the content of a JSON file of it. None: its class is not known."""
    index = read("model_index.json")
    pipeline = index.get("_class_name") if index else None
    if index is None or not isinstance(pipeline, str):
        return None
    transformer = read("transformer/config.json")
    embeds = None if transformer is None else bool(transformer.get("guidance_embeds", False))
    distilled, own_schedule = (bool(index.get(name)) for name in ("is_distilled", "sample_sigmas"))
    return CheckpointFacts(pipeline, distilled, embeds, own_schedule)


def preset_of(facts: CheckpointFacts) -> Preset | None:
    """The preset for a checkpoint of this class, if there is one."""
    for preset in PRESETS:
        if preset.pipeline == facts.pipeline and preset.distilled in (None, facts.distilled):
            return preset
    return None
