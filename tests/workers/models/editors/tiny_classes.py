"""A small edit of each class of diffusers that is tried: through the editor, and by a direct call of the pipeline."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from protocol.messages import ModelSpec
from tests.workers.models.editors.tiny_edits import picture
from workers.interface import EditRequest
from workers.models.editors.diffusers_editor import DiffusersEditor
from workers.models.editors.pipeline_editor import as_image
from workers.models.editors.pipeline_facts import NEEDED_PACKAGES

PROMPT = "make the circle a square"
SMALL = {"num_inference_steps": 2, "preset": "2026-11", "output_size": "pipeline"}
SEED = 42

_SIZE = {"height": 64, "width": 64}
_GUIDANCE = {"Kandinsky5I2IPipeline": 1.0, "LongCatImageEditPipeline": 1.0}
"""Edits of a size that the class chooses take half as long without guidance."""
_OWN_SIZE = ("JoyImageEditPipeline", "Kandinsky5I2IPipeline", "LongCatImageEditPipeline")
_AS_SOURCE = ("StableDiffusionInstructPix2PixPipeline",)
_PROMPTS = {
    "BriaFiboEditPipeline": json.dumps({"edit_instruction": PROMPT}),
    "OmniGenPipeline": f"<img><|image_1|></img> {PROMPT}",
}
_MORE: Mapping[str, Mapping[str, Any]] = {"QwenImage21Pipeline": {"output_resolution": 64}}
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "FluxKontextPipeline": {"guidance_scale": 2.5, "max_area": 64 * 64},
    "OmniGenPipeline": {"guidance_scale": 2.0},
    "QwenImageEditPipeline": {"negative_prompt": " "},
    "QwenImageEditPlusPipeline": {"negative_prompt": " "},
    "StableDiffusionXLInstructPix2PixPipeline": {"guidance_scale": 3.0},
}
_WITH_TORCHVISION = (
    "DreamLitePipeline",
    "Flux2Pipeline",
    "JoyImageEditPipeline",
    "JoyImageEditPlusPipeline",
    "Kandinsky5I2IPipeline",
    "LongCatImageEditPipeline",
    "QwenImage21Pipeline",
    "QwenImageEditPipeline",
    "QwenImageEditPlusPipeline",
)
"""Those with a processor that the stock class loads only with torchvision."""


class CopyingEditor(DiffusersEditor):
    """Weights move between two places in CPU memory."""

    SECOND_COPY = True


def with_stand_ins(patch: pytest.MonkeyPatch) -> None:
    """Let OmniGen be tried without torchvision, of which it needs the three steps that make a tensor of an image.

    In the place of transformers' ``is_torchvision_available`` a stand-in would change other classes too.
    """
    if importlib.util.find_spec("torchvision") is None:
        processor = importlib.import_module("diffusers.pipelines.omnigen.processor_omnigen")
        patch.setattr(processor, "transforms", Transforms, raising=False)
        pipeline = importlib.import_module("diffusers.pipelines.omnigen.pipeline_omnigen")
        name = "OmniGenMultiModalProcessor"
        patch.setattr(pipeline, name, getattr(processor, name), raising=False)
        patch.delitem(NEEDED_PACKAGES, "OmniGenPipeline")


class Transforms:
    """As in ``torchvision.transforms``, for images that are RGB."""

    @staticmethod
    def Compose(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:  # noqa: N802 - torchvision's name
        """One step after the other."""
        return lambda image: reduce(lambda value, step: step(value), steps, image)

    @staticmethod
    def Lambda(step: Callable[[Any], Any]) -> Callable[[Any], Any]:  # noqa: N802
        """This step."""
        return step

    @staticmethod
    def ToTensor() -> Callable[[Any], Any]:  # noqa: N802
        """Floats from 0 to 1, of the shape ``(3, height, width)``."""
        import torch

        return lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)

    @staticmethod
    def Normalize(mean: Sequence[float], std: Sequence[float], inplace: bool) -> Callable[[Any], Any]:  # noqa: N802
        """Each channel without its mean, in units of its deviation."""
        import torch

        average, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
        return lambda image: image.sub(average).div(deviation)


def spec(folder: Path, kind: str = "diffusers") -> ModelSpec:
    """The model in a folder with the name of its class."""
    dtype = "bfloat16" if folder.name == "ZImageOmniPipeline" else "float32"
    return ModelSpec(role="editor", type=kind, name=str(folder), params={"dtype": dtype, "threads_per_worker": 1})


def loaded(folder: Path, kind: type[DiffusersEditor] = DiffusersEditor) -> DiffusersEditor:
    """The editor, on the CPU."""
    editor = kind(spec(folder), "cpu")
    editor.load("device")
    return editor


def request(*images: Image.Image, seed: int = SEED, **parameters: Any) -> EditRequest:
    """An edit of these images, or of a picture, in two steps."""
    shown = images or (picture(),)
    return EditRequest(shown[0], PROMPT, seed, "a/1", {**SMALL, **parameters}, images=shown)


def edit(editor: DiffusersEditor, wanted: EditRequest) -> Image.Image:
    """The edit; progress is not looked at."""
    return editor.edit(wanted, lambda *_: None)


def size_of(name: str) -> dict[str, Any]:
    """The parameters for a small edit of the class."""
    size = {} if name in (*_OWN_SIZE, *_AS_SOURCE) else _SIZE
    guidance = {"guidance_scale": _GUIDANCE[name]} if name in _GUIDANCE else {}
    more = {"pipeline_arguments": _MORE[name]} if name in _MORE else {}
    return {**size, **guidance, **more}


def shape_of(name: str) -> tuple[tuple[int, int], str]:
    """The size and the mode of that edit, with small sources."""
    return (256, 256) if name in _OWN_SIZE else (64, 64), "RGBA" if name == "QwenImage21Pipeline" else "RGB"


def direct_edit(name: str, folder: Path, editor: DiffusersEditor) -> Image.Image:
    """The same edit as of ``request(**size_of(name))``, without the editor."""
    import torch

    arguments = {key: value for key, value in size_of(name).items() if key != "pipeline_arguments"}
    output = _stock(name, folder, editor)(
        **_images(name),
        prompt=_PROMPTS.get(name, PROMPT),
        num_inference_steps=2,
        generator=_generator(torch),
        **arguments,
        **_MORE.get(name, {}),
        **_PRESETS.get(name, {}),
    )
    if name == "ChronoEditPipeline":
        return as_image(output["frames"][0][-1])
    image: Image.Image = output["images" if "images" in output else "image"][0]
    return image


def _generator(torch: Any) -> Any:
    torch.manual_seed(SEED)  # JoyImage takes the noise of its source's latents from there
    return torch.Generator("cpu").manual_seed(SEED)


def _images(name: str) -> dict[str, Any]:
    if name == "JoyImageEditPlusPipeline":
        return {"images": [picture()]}
    if name == "OmniGenPipeline":
        return {"input_images": [picture()]}
    return {"image": [picture()] if name == "GlmImagePipeline" else picture()}


def _stock(name: str, folder: Path, editor: DiffusersEditor) -> Any:
    import diffusers
    import torch
    from transformers.utils import is_torchvision_available

    from workers.models.editors.glm_image import return_rows

    if name in _WITH_TORCHVISION and not is_torchvision_available():
        return editor._pipeline
    dtype = getattr(torch, editor.spec.params["dtype"])
    stock = getattr(diffusers, name).from_pretrained(folder, safety_checker=None, dtype=dtype)
    if name == "GlmImagePipeline":
        return_rows(stock.vision_language_encoder)  # else it fails with every source image
    stock.set_progress_bar_config(disable=True)
    return stock
