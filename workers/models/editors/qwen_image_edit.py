"""Qwen-Image-Edit and its Plus variants (2509, 2511), on the pipelines of diffusers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec, Residency
from workers.interface import Editor, EditRequest, FetchProgress, ModelError, Progress
from workers.models.declaration import Alias, ModelType, with_keys
from workers.models.device_memory import free_memory
from workers.models.editors.qwen_image_loading import MODULES, load_pipeline, prepare_imports
from workers.models.editors.qwen_image_loras import lora_files
from workers.models.editors.qwen_image_options import (
    can_be_replaced,
    checked_options,
    host_copies,
    reset_after_edit,
    switch_on,
)
from workers.models.editors.qwen_image_replacement import can_be_mapped, replace_weights
from workers.models.flatten import flatten
from workers.models.hub import resolve_model, weight_files
from workers.models.keys import DEVICE, EDITOR_KEYS, model_name

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

_LIBRARIES = ("accelerate", "diffusers", "numpy", "pillow", "tokenizers", "torch", "torchvision", "transformers")
_PIPELINE_ARGUMENTS = ("num_inference_steps", "true_cfg_scale", "height", "width")
# Without a negative prompt the pipelines leave out true CFG, whatever its scale.
_NEGATIVE_PROMPT = " "


class QwenImageEditEditor(Editor):
    """One pipeline, which makes one edit at a time.

    Parameters of a run: ``num_inference_steps``, ``true_cfg_scale``, ``negative_prompt`` (one blank), ``height`` and
    ``width`` in pixels (the shape of the source, of several the last one's, at about one megapixel; both are rounded
    down to what the model can do, usually a multiple of 16). Others are ignored. The edit is returned as the pipeline
    makes it.
    """

    SECOND_COPY = False
    """Whether weights move to a second copy in CPU memory if the device is the CPU."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._pipeline: Any = None
        self._mover: Any = None
        self._resolved: Path | None = None
        self._options: Mapping[str, Any] = {}

    def prepare(self) -> None:
        prepare_imports()

    def fetch(self, progress: FetchProgress) -> None:
        options = checked_options(self.spec.params)
        self._folder(progress)
        lora_files(options, progress)

    def load(self, residency: Residency) -> None:
        self._pipeline = self._mover = None
        self._options = checked_options(self.spec.params)
        self._pipeline, self._mover = load_pipeline(
            self._folder(), self.spec.params, self.device, residency, second_copy=self.SECOND_COPY
        )

    def replace(self, spec: ModelSpec) -> bool:
        if self._pipeline is None or spec.params != self.spec.params or not spec.name:
            return False
        if not can_be_replaced(self._options):
            return False
        folder = resolve_model(spec.name)
        if not can_be_mapped(folder, spec.params):
            return False
        pipeline, self._pipeline, self._mover = self._pipeline, None, None
        pipeline, self._mover = replace_weights(
            pipeline, folder, spec.params, self.device, second_copy=self.SECOND_COPY
        )
        switch_on(pipeline, self._options, self.device)
        self._pipeline = pipeline
        self.spec, self._resolved = spec, folder
        return True

    def place(self, residency: Residency) -> None:
        """Move all components; leaving a GPU gives its memory back to other processes."""
        if residency == "disk":
            raise ValueError("an editor is dropped, not moved to disk")
        if self._pipeline is None:
            raise ModelError("not_ready", "the editor was not loaded yet")
        if residency == "device":
            self._mover.to_device()
            return
        if "keep_prompt_embeddings" in self._options:
            self._pipeline.encode_prompt.clear()
        self._mover.to_host()

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        import torch

        if self._pipeline is None:
            raise ModelError("not_ready", "the editor was not loaded yet")
        try:
            return self._run(request, progress)
        except (torch.OutOfMemoryError, MemoryError) as error:
            reason = str(error) or type(error).__name__
        finally:
            reset_after_edit(self._pipeline, self._options)
        # Raised outside of the handler: a traceback would keep the tensors of every frame alive.
        free_memory()
        raise ModelError("oom", f"out of memory on {self.device} during an edit: {reason}")

    def weight_files(self) -> Sequence[str]:
        return [*weight_files(self._folder()), *map(str, lora_files(self._options))]

    def size_bytes(self) -> int:
        """The size of the weights, as loaded; before that, of their files."""
        if self._pipeline is None:
            return sum(Path(file).stat().st_size for file in self.weight_files() if file.endswith(".safetensors"))
        modules = (getattr(self._pipeline, name) for name in MODULES)
        tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def host_bytes(self) -> int:
        """What is not mapped from files, which all workers share."""
        return 0 if self._mover is None else int(self._mover.private_bytes())

    def load_bytes(self, residency: Residency) -> int:
        straight = residency == "device" and self.device != "cpu"
        return host_copies(self.weight_files(), self.spec.params, straight=straight)

    def versions(self) -> Mapping[str, str]:
        import torch

        versions = {}
        for library in _LIBRARIES:
            try:
                versions[library] = importlib.metadata.version(library)
            except importlib.metadata.PackageNotFoundError:
                continue  # torchvision is optional
        if torch.version.cuda:
            versions["cuda"] = torch.version.cuda
        return versions

    def _folder(self, progress: Callable[[], None] = lambda: None) -> Path:
        if self._resolved is None:
            if not self.spec.name:
                raise ModelError("config", "diffusion_model.params names no model: a folder or a hub name is needed")
            self._resolved = resolve_model(self.spec.name, progress)
        return self._resolved

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
        return self._as_image(pixels)

    def _images(self, request: EditRequest) -> Image.Image | list[Image.Image]:
        """The source image; a list of them if there are several, which a Plus pipeline takes together."""
        if len(request.images) < 2:
            return flatten(request.image)
        pipeline = type(self._pipeline).__name__
        if pipeline in DECLARATION.one_image:
            message = f"the editor got {len(request.images)} source images; a {pipeline} takes one"
            raise ModelError("config", f"diffusion_model.params.images: {message}")
        return [flatten(image) for image in request.images]

    def _as_image(self, pixels: Any) -> Image.Image:
        """Return the image of ``(1, height, width, 3)`` floats from 0 to 1. NaN would become black pixels."""
        import numpy as np

        if not np.isfinite(pixels).all():
            reason = "the model's output is not finite: float16 overflows in some models, one step divides by zero"
            raise ModelError("not_finite", f"{reason}; try bfloat16, or more num_inference_steps")
        image: Image.Image = self._pipeline.image_processor.numpy_to_pil(pixels)[0]
        return image
