"""What editors on pipelines of diffusers have in common: loading, placing, replacing a checkpoint, memory, versions."""

from __future__ import annotations

import abc
import importlib.metadata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec, Residency
from protocol.pool import LINKS
from workers.interface import Editor, EditRequest, FetchProgress, ModelError, Progress
from workers.models.device_memory import free_memory
from workers.models.editors.pipeline_loading import PipelineParts, denoiser_of, load_onto
from workers.models.editors.pipeline_loras import lora_files
from workers.models.editors.pipeline_options import (
    back_to_storage,
    can_be_replaced,
    checked_options,
    host_copies,
    switch_on,
)
from workers.models.editors.pipeline_replacement import can_be_mapped, replace_weights
from workers.models.editors.trained_transformer import with_transformer
from workers.models.hub import resolve_model, weight_files
from workers.models.quantization import held_bytes, quantizing_packages
from workers.models.safetensors_files import goes_straight

_LIBRARIES = ("accelerate", "diffusers", "numpy", "pillow", "tokenizers", "torch", "torchvision", "transformers")


class PipelineEditor(Editor):
    """One pipeline, which makes one edit at a time. ``load`` sets the pipeline and the mover of its weights."""

    SECOND_COPY = False
    """Whether weights move to a second copy in CPU memory if the device is the CPU."""

    SUPPORTED: Collection[str] = ()
    """The optimizations that this editor has."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._pipeline: Any = None
        self._mover: Any = None
        self._resolved: Path | None = None
        self._options: Mapping[str, Any] = {}

    def fetch(self, progress: FetchProgress) -> None:
        options = checked_options(self.spec.params, self.SUPPORTED)
        self._folder(progress)
        lora_files(options, progress)

    def load(self, residency: Residency) -> None:
        self._pipeline = self._mover = None
        self._options = checked_options(self.spec.params, self.SUPPORTED)
        folder = self._folder()
        parts = self._parts(folder)
        self._pipeline, self._mover = load_onto(
            folder,
            parts.read,
            lambda components: self._switched(parts.assemble(components)),
            self.spec.params,
            self.devices,
            residency,
            second_copy=self.SECOND_COPY,
        )

    def replace(self, spec: ModelSpec) -> bool:
        if self._pipeline is None or not spec.name or _without_transformer(spec) != _without_transformer(self.spec):
            return False
        if len(self.devices) > 1 or not can_be_replaced(self._options, spec.params):
            return False
        folder = self._resolve(spec)
        if not can_be_mapped(folder, spec.params):
            return False
        parts = self._parts(folder)
        pipeline, self._pipeline, self._mover = self._pipeline, None, None
        pipeline, self._mover = replace_weights(
            pipeline, folder, parts, spec.params, self.device, second_copy=self.SECOND_COPY
        )
        self._pipeline = self._switched(pipeline)
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
        self._leave()
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
            self._reset()
        # Raised outside of the handler: a traceback would keep the tensors of every frame alive.
        free_memory()
        raise ModelError("oom", f"out of memory on {', '.join(self.devices)} during an edit: {reason}")

    def weight_files(self) -> Sequence[str]:
        return [*weight_files(self._folder()), *map(str, lora_files(self._options))]

    def load_bytes(self, residency: Residency) -> int:
        straight = goes_straight(self.spec.params, residency, self.devices)
        return host_copies(self.weight_files(), self.spec.params, straight=straight)

    def size_bytes(self) -> int:
        """The size of the weights, as loaded; before that, of their files."""
        if self._pipeline is None:
            return sum(Path(file).stat().st_size for file in self.weight_files() if file.endswith(".safetensors"))
        tensors = [tensor for module in self._modules() for tensor in (*module.parameters(), *module.buffers())]
        return sum(map(held_bytes, tensors))

    def host_bytes(self) -> int:
        """What is not mapped from files, which all workers share."""
        return 0 if self._mover is None else int(self._mover.private_bytes())

    def versions(self) -> Mapping[str, str]:
        import torch

        versions = {}
        for library in (*_LIBRARIES, *quantizing_packages(self.spec.params)):
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
            self._resolved = self._resolve(self.spec, progress)
        return self._resolved

    def _resolve(self, spec: ModelSpec, progress: Callable[[], None] = lambda: None) -> Path:
        folder = resolve_model(str(spec.name), progress)
        trained = spec.params.get("transformer_path")
        if trained is None:
            return folder
        return with_transformer(folder, Path(trained), self.context.folder / f"{self.context.name}{LINKS}")

    def _modules(self) -> Iterator[Any]:
        """The pipeline's modules that have weights."""
        import torch

        return (part for part in self._pipeline.components.values() if isinstance(part, torch.nn.Module))

    def _switched(self, pipeline: Any) -> Any:
        switch_on(pipeline, self._options, self.device)
        return pipeline

    @abc.abstractmethod
    def _parts(self, folder: Path) -> PipelineParts:
        """How the pipeline of a folder is loaded.

        Raises:
            ModelError: it is none that this editor can run.
        """

    @abc.abstractmethod
    def _run(self, request: EditRequest, progress: Progress) -> Image.Image:
        """The edit."""

    def _reset(self) -> None:
        """Drop the state that an edit leaves: after an exception it is stale, and that of some VAEs is large."""
        self._pipeline.maybe_free_model_hooks()
        vae: Any = getattr(self._pipeline, "vae", None)
        if hasattr(vae, "clear_cache"):
            vae.clear_cache()
        if "fp8" in self._options:
            back_to_storage(denoiser_of(self._pipeline))

    def _leave(self) -> None:
        """The weights are about to leave the device."""
        return


def _without_transformer(spec: ModelSpec) -> dict[str, Any]:
    """The parameters that two checkpoints share which can replace each other."""
    return {name: value for name, value in spec.params.items() if name != "transformer_path"}


def as_image(pixels: Any) -> Image.Image:
    """The image of ``(height, width, 3)`` floats from 0 to 1, rounded as diffusers does. NaN would become black.

    Raises:
        ModelError: of kind ``not_finite``.
    """
    import numpy as np

    if not np.isfinite(pixels).all():
        reason = "the model's output is not finite: float16 overflows in some models, one step divides by zero"
        raise ModelError("not_finite", f"{reason}; try bfloat16, or more num_inference_steps")
    return Image.fromarray((pixels * 255).round().astype("uint8"))
