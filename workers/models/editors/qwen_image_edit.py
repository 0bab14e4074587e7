"""Qwen-Image-Edit and its Plus variants (2509, 2511), on the pipelines of diffusers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from workers.interface import EditRequest, ModelError, Progress
from workers.models.declaration import Alias, ModelType, with_keys
from workers.models.editors.pipeline_editor import PipelineEditor, as_image
from workers.models.editors.pipeline_loading import PipelineParts
from workers.models.editors.pipeline_options import host_copies
from workers.models.editors.qwen_image_loading import MODULES, parts_of, prepare_imports
from workers.models.fitting_keys import fitting_conflicts, spreading_conflicts
from workers.models.flatten import flatten
from workers.models.keys import DEVICE, EDITOR_KEYS, OPTIMIZATIONS, model_name

DECLARATION = ModelType(
    name="qwen_image_edit",
    role="editor",
    meaning="Qwen-Image-Edit, on one device.",
    target="workers.models.editors.qwen_image_edit:QwenImageEditEditor",
    keys=with_keys(
        EDITOR_KEYS,
        model_name("Qwen/Qwen-Image-Edit", "A folder that holds a diffusers pipeline, or a name on the hub."),
        replace(DEVICE, default="cuda"),
    ),
    rules=(fitting_conflicts, spreading_conflicts),
    needs="gpu",
    old_names=(
        Alias(
            ("multi_gpu_qwen_image_edit", "multi_gpu_qwen_edit"),
            "The same, on all GPUs or on each of `device_ids`; also written `multi_gpu_qwen_edit`.",
            defaults={"device": None},
        ),
    ),
    old_classes={"QwenImageEditModel": "qwen_image_edit", "MultiGPUQwenImageEditModel": "multi_gpu_qwen_image_edit"},
    entry_file="model_index.json",
    known_models=("Qwen/Qwen-Image-Edit", "Qwen/Qwen-Image-Edit-2509", "Qwen/Qwen-Image-Edit-2511"),
    packages={"torch": "2.6", "diffusers": "0.42", "transformers": "4.57", "accelerate": ""},
    host_copies=host_copies,
    one_image=("QwenImageEditPipeline", "Qwen/Qwen-Image-Edit"),
)

_PIPELINE_ARGUMENTS = ("num_inference_steps", "true_cfg_scale", "height", "width")
# Without a negative prompt the pipelines leave out true CFG, whatever its scale.
_NEGATIVE_PROMPT = " "


class QwenImageEditEditor(PipelineEditor):
    """One pipeline, which makes one edit at a time.

    Parameters of a run: ``num_inference_steps``, ``true_cfg_scale``, ``negative_prompt`` (one blank), ``height`` and
    ``width`` in pixels (the shape of the source, of several the last one's, at about one megapixel; both are rounded
    down to what the model can do, usually a multiple of 16). Others are ignored. The edit is returned as the pipeline
    makes it.
    """

    SUPPORTED = frozenset(option.name for option in OPTIMIZATIONS)

    def prepare(self) -> None:
        prepare_imports()

    def _parts(self, folder: Path) -> PipelineParts:
        return parts_of(folder, self.spec.params)

    def _modules(self) -> Iterator[Any]:
        return (getattr(self._pipeline, name) for name in MODULES)

    def _leave(self) -> None:
        if "keep_prompt_embeddings" in self._options:
            self._pipeline.encode_prompt.clear()

    def _run(self, request: EditRequest, progress: Progress) -> Image.Image:
        import torch

        def report(pipeline: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
            progress(step + 1, pipeline.num_timesteps)
            return {}

        given = request.parameters
        arguments = {name: given[name] for name in _PIPELINE_ARGUMENTS if given.get(name) is not None}
        negative_prompt = given.get("negative_prompt")
        pixels = self._pipeline(
            image=self._images(request),
            prompt=request.instruction,
            negative_prompt=_NEGATIVE_PROMPT if negative_prompt is None else negative_prompt,
            # A new one, always on the CPU: an edit does not depend on the device or on earlier edits.
            generator=torch.Generator(device="cpu").manual_seed(request.seed),
            callback_on_step_end=report,
            callback_on_step_end_tensor_inputs=[],
            output_type="np",
            **arguments,
        ).images
        return as_image(pixels[0])

    def _images(self, request: EditRequest) -> Image.Image | list[Image.Image]:
        """The source image; a list of them if there are several, which a Plus pipeline takes together."""
        if len(request.images) < 2:
            return flatten(request.image)
        pipeline = type(self._pipeline).__name__
        if pipeline in DECLARATION.one_image:
            message = f"the editor got {len(request.images)} source images; a {pipeline} takes one"
            raise ModelError("config", f"diffusion_model.params.images: {message}")
        return [flatten(image) for image in request.images]
