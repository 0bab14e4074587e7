"""What editors on pipelines of diffusers have in common: placing, memory, sizes, versions, what an edit leaves."""

from __future__ import annotations

import abc
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec, Residency
from workers.interface import Editor, EditRequest, ModelError, Progress
from workers.models.device_memory import free_memory
from workers.models.hub import resolve_model, weight_files
from workers.models.quantization import held_bytes

_LIBRARIES = ("accelerate", "diffusers", "numpy", "pillow", "tokenizers", "torch", "torchvision", "transformers")


class PipelineEditor(Editor):
    """One pipeline, which makes one edit at a time. ``load`` sets the pipeline and the mover of its weights."""

    SECOND_COPY = False
    """Whether weights move to a second copy in CPU memory if the device is the CPU."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._pipeline: Any = None
        self._mover: Any = None
        self._resolved: Path | None = None

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
        raise ModelError("oom", f"out of memory on {self.device} during an edit: {reason}")

    def weight_files(self) -> Sequence[str]:
        return weight_files(self._folder())

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

    def _modules(self) -> Iterator[Any]:
        """The pipeline's modules that have weights."""
        import torch

        return (part for part in self._pipeline.components.values() if isinstance(part, torch.nn.Module))

    @abc.abstractmethod
    def _run(self, request: EditRequest, progress: Progress) -> Image.Image:
        """The edit."""

    def _reset(self) -> None:
        """Drop the state that an edit leaves: after an exception it is stale, and that of some VAEs is large."""
        self._pipeline.maybe_free_model_hooks()
        vae: Any = getattr(self._pipeline, "vae", None)
        if hasattr(vae, "clear_cache"):
            vae.clear_cache()

    def _leave(self) -> None:
        """The weights are about to leave the device."""
        return


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
