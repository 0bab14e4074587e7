"""Any editing pipeline of diffusers: the class that ``model_index.json`` names, with the arguments of its signature."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec
from workers.interface import EditRequest, FetchProgress, ModelError, Progress
from workers.models.declaration import Conflict, Key, ModelType, pick
from workers.models.editors.diffusers_loading import examined, parts_of
from workers.models.editors.pipeline_arguments import (
    MORE,
    Refusal,
    arguments_of,
    dtype_refusals,
    refusals,
    size_arguments,
)
from workers.models.editors.pipeline_editor import PipelineEditor, as_image
from workers.models.editors.pipeline_facts import (
    ALWAYS_A_LIST,
    IMAGE_TAGS,
    JSON_INSTRUCTION,
    PRESET_EDITIONS,
    CheckpointFacts,
)
from workers.models.editors.pipeline_loading import PipelineParts
from workers.models.editors.pipeline_options import host_copies
from workers.models.editors.pipeline_sources import prepared_sources
from workers.models.editors.signatures import Signature
from workers.models.fitting_keys import fitting_conflicts, spreading_conflicts
from workers.models.keys import DEVICE, EDITOR_KEYS, model_name

_CACHES = ("first_block_cache", "taylorseer_cache")
_PRESET = "Left out: what the preset says, else the default of the class."


def _size_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """Two sizes for an edit."""
    if values["output_size"] == "source" and (values["height"] or values["width"]):
        message = "is `source` beside height or width"
        yield Conflict((("output_size",), ("height",), ("width",)), message, "keep one of the two")


def _model_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """No model: which one it is cannot be guessed."""
    if not values["model_name"]:
        yield Conflict((("model_name",),), "is missing", "name a folder or a model on the hub")


def _optional(name: str, meaning: str) -> Key:
    """The shared key of this name, which the preset or the class decides if it is left out."""
    key = next(key for key in EDITOR_KEYS if key.name == name)
    return replace(key, default=None, meaning=f"{meaning} {_PRESET}")


def _guidance(name: str, meaning: str) -> Key:
    return Key(name, "float", None, f"{meaning} {_PRESET}", low=0, high=100)


_OPTIMIZATIONS = ("compile_repeated_blocks", "attention_backend", *_CACHES, "fp8")


def _optimizations() -> Key:
    """The shared key with what any transformer may have. No result was recorded before there was this one."""
    shared = next(key for key in EDITOR_KEYS if key.name == "optimizations")
    sets = {
        name: {option: value for option, value in options.items() if option in _OPTIMIZATIONS}
        for name, options in shared.sets.items()
    }
    return replace(shared, keys=pick(shared.keys, *_OPTIMIZATIONS), sets=sets, later=True)


DECLARATION = ModelType(
    name="diffusers",
    role="editor",
    meaning="Any editing pipeline of diffusers, with the arguments of its class.",
    target="workers.models.editors.diffusers_editor:DiffusersEditor",
    keys=(
        model_name(None, "A folder that holds a diffusers pipeline, or a name on the hub."),
        *pick(EDITOR_KEYS, "dtype"),
        Key(
            "preset",
            "choice",
            PRESET_EDITIONS[-1],
            "Which edition of the recommended arguments by class; `none`: the defaults of the class.",
            choices=(*PRESET_EDITIONS, "none"),
        ),
        _optional("num_inference_steps", "Denoising steps."),
        _guidance("true_cfg_scale", "Guidance by the instruction, of classes that have this argument."),
        _guidance("guidance_scale", "Guidance of classes that have this argument."),
        _guidance("image_guidance_scale", "Guidance by the source image, of classes that have this argument."),
        _optional("negative_prompt", "What the edit should not be; guidance works against it."),
        *pick(EDITOR_KEYS, "height", "width"),
        Key(
            "output_size",
            "choice",
            "pipeline",
            "`pipeline`: what it chooses; `source`: that of the source image, in multiples of 16 pixels.",
            choices=("pipeline", "source"),
        ),
        Key(MORE, "mapping", None, "More arguments of the pipeline's `__call__`, by name."),
        *pick(
            EDITOR_KEYS,
            "seed",
            "images",
            "enable_batch_sync",
            "threads_per_worker",
            "lora",
            "transformer_path",
        ),
        _optimizations(),
        replace(DEVICE, default="cuda"),
        *pick(EDITOR_KEYS, "offload", "quantization", "device_ids", "gpus_per_worker", "conda_env", "python"),
    ),
    rules=(_model_conflicts, _size_conflicts, fitting_conflicts, spreading_conflicts),
    needs="gpu",
    entry_file="model_index.json",
    packages={"torch": "2.6", "diffusers": "0.42", "transformers": "4.57", "accelerate": ""},
    host_copies=host_copies,
)


class DiffusersEditor(PipelineEditor):
    """A pipeline of the class that the model's files name. The edit is returned as the pipeline makes it."""

    SUPPORTED = _OPTIMIZATIONS

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._signature: Signature | None = None
        self._facts: CheckpointFacts | None = None

    def prepare(self) -> None:
        with contextlib.suppress(ImportError):
            import diffusers  # noqa: F401
            import transformers  # noqa: F401

    def fetch(self, progress: FetchProgress) -> None:
        super().fetch(progress)
        examined(self._folder())

    def _parts(self, folder: Path) -> PipelineParts:
        self._signature, self._facts = examined(folder)
        _refuse(dtype_refusals(self._facts.pipeline, self.spec.params))
        return parts_of(folder, self._facts.pipeline, self.spec.params)

    def _run(self, request: EditRequest, progress: Progress) -> Image.Image:
        import torch

        signature, facts = self._signature, self._facts
        if signature is None or facts is None:
            raise ModelError("not_ready", "the editor was not loaded yet")
        several = {"images": "all"} if len(request.images) > 1 else {"images": "first"}
        _refuse(refusals(signature, facts, {**request.parameters, **several}))
        images = prepared_sources(signature.pipeline, self._pipeline, request.images)
        arguments = arguments_of(signature, facts, request.parameters)
        arguments |= size_arguments(signature, facts, request.parameters, images[0].size)
        # A new one, always on the CPU: an edit does not depend on the device or on earlier edits.
        generator = torch.Generator(device="cpu").manual_seed(request.seed)
        with _own_random_numbers(self.devices, request.seed), self._reported(signature, progress) as callback:
            output = self._pipeline(
                prompt=_prompt(signature.pipeline, request),
                generator=generator,
                output_type="np",
                **_image_argument(signature, images),
                **callback,
                **arguments,
            )
        return as_image(_pixels(output))

    @contextlib.contextmanager
    def _reported(self, signature: Signature, progress: Progress) -> Iterator[dict[str, Any]]:
        """The callback with which a class reports its steps; without one, steps of the scheduler are counted."""
        if "callback_on_step_end" in signature:

            def report(pipeline: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
                progress(step + 1, pipeline.num_timesteps)
                return {}

            yield {"callback_on_step_end": report, "callback_on_step_end_tensor_inputs": []}
            return
        scheduler = self._pipeline.scheduler
        scheduler.step = _counted(scheduler, progress)
        try:
            yield {}
        finally:
            del scheduler.step  # the method of the class again


def _refuse(found: Iterator[Refusal]) -> None:
    """Raise a ModelError for the first one."""
    for refusal in found:
        path = ".".join(("diffusion_model.params", *refusal.key))
        raise ModelError("config", f"{path}: {refusal.message}")


def _image_argument(signature: Signature, images: list[Image.Image]) -> dict[str, Any]:
    one = len(images) == 1 and signature.pipeline not in ALWAYS_A_LIST
    return {str(signature.image): images[0] if one else images}


def _counted(scheduler: Any, progress: Progress) -> Callable[..., Any]:
    """The scheduler's step, which is reported each time."""
    step, done = scheduler.step, 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        result = step(*args, **kwargs)
        done += 1
        progress(done, max(done, len(scheduler.timesteps)))
        return result

    return counted


@contextlib.contextmanager
def _own_random_numbers(devices: Sequence[str], seed: int) -> Iterator[None]:
    """Seed torch's global numbers too, which a few pipelines use beside their generator; restored at the end."""
    import torch

    with torch.random.fork_rng(devices=[device for device in devices if device.startswith("cuda")]):
        torch.manual_seed(seed)
        yield


def _pixels(output: Any) -> Any:
    """The edit in what a pipeline returns; of a video it is the last frame."""
    if "frames" in output:
        return output["frames"][0][-1]
    return output["images" if "images" in output else "image"][0]


def _prompt(pipeline: str, request: EditRequest) -> str:
    if (key := JSON_INSTRUCTION.get(pipeline)) is not None:
        return _in_json(key, request.instruction)
    tag = IMAGE_TAGS.get(pipeline)
    if tag is None:
        return request.instruction
    tags = "".join(tag.format(number=number) for number in range(1, len(request.images) + 1))
    return f"{tags} {request.instruction}"


def _in_json(key: str, instruction: str) -> str:
    """A JSON object with the instruction; the instruction itself if it is such an object already."""
    try:
        given = json.loads(instruction)
    except ValueError:
        given = None
    return instruction if isinstance(given, dict) and key in given else json.dumps({key: instruction})
