"""Loads a Qwen-Image-Edit pipeline: all of its weights, from safetensors only, to the device or the host."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.messages import Residency
from workers.interface import ModelError
from workers.models.editors.qwen_image_options import checked_options, switch_on
from workers.models.processors import load_processor
from workers.models.safetensors_files import stored_as

PIPELINES = ("QwenImageEditPipeline", "QwenImageEditPlusPipeline")
DTYPES = ("bfloat16", "float16", "float32")
DEFAULT_DTYPE = "bfloat16"

MODULES = ("text_encoder", "transformer", "vae")
_LIBRARIES = ("diffusers", "transformers")


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


def load_pipeline(
    folder: Path, params: Mapping[str, Any], device: str, residency: Residency, *, second_copy: bool = False
) -> tuple[Any, Any]:
    """Return the pipeline of ``folder``, ready to edit, on ``device`` or in host memory, and the mover of its weights.

    Load parameters: ``dtype`` (``bfloat16``), ``threads_per_worker`` (1), ``optimizations`` (name to value).

    Raises:
        ModelError: of kind ``config`` (a parameter), ``model_not_found`` (there is no pipeline), ``oom``, or ``load``
            (the files are damaged or incomplete, or are another kind of pipeline).
    """
    dtype, options = checked_params(params), checked_options(params)
    index = read_index(folder)
    check_device(device)
    import torch

    torch.set_num_threads(params.get("threads_per_worker", 1))
    keep_quiet()
    try:
        from workers.models.moving.mover import Mover

        at = device if residency == "device" else "cpu"
        modules = {name: load_module(folder, name, index[name], dtype, at) for name in MODULES}
        mover = Mover(modules.values(), device, second_copy=second_copy)
        if residency == "device":
            mover.to_device(keep_private=False)
        pipeline = assemble(folder, modules)
        switch_on(pipeline, options, device)
        return pipeline, mover
    except ModelError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error)
    except Exception as error:
        # Damaged files raise whatever the library that reads them raises.
        raise ModelError("load", f"editor model {folder} can't be loaded: {type(error).__name__}: {error}") from error
    # Raised out here, where the traceback is gone: it would keep what was loaded so far.
    raise ModelError("oom", f"editor model {folder} does not fit on {device}: {reason}")


def checked_params(params: Mapping[str, Any]) -> str:
    """Check all load parameters, and return the name of the dtype."""
    dtype = params.get("dtype", DEFAULT_DTYPE)
    if dtype not in DTYPES:
        raise ModelError("config", f"diffusion_model.params.dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    threads = params.get("threads_per_worker", 1)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ModelError("config", f"diffusion_model.params.threads_per_worker must be 1 or more, not {threads!r}")
    return str(dtype)


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
        if library not in _LIBRARIES or not isinstance(class_name, str):
            raise ModelError("load", f"editor model {folder}: model_index.json names no usable class for {name}")
    return dict(index)


def check_device(device: str) -> None:
    """Raise a ModelError if this is a CUDA device and torch sees none."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
        raise ModelError("load", f"device {device}: torch {torch.__version__} sees no GPU here (it is {build})")


def assemble(folder: Path, modules: Mapping[str, Any]) -> Any:
    """Return the pipeline of ``folder`` with these modules, which are loaded."""
    from diffusers import DiffusionPipeline

    processor = load_processor(str(folder), subfolder="processor")
    pipeline = DiffusionPipeline.from_pretrained(str(folder), processor=processor, local_files_only=True, **modules)
    pipeline.set_progress_bar_config(disable=True)
    pass_image_positions(pipeline.text_encoder)
    return pipeline


def load_module(folder: Path, name: str, class_path: list[str], dtype: str, device: str = "cpu") -> Any:
    """Load one component by itself: the pipeline would use random weights in place of missing ones.

    Weights are mapped into host memory. Only those that have to be converted go straight to the device.
    """
    import torch

    module_class = getattr(importlib.import_module(class_path[0]), class_path[1])
    # A device map lets each tensor be converted there, without a copy on the host.
    straight = {} if device == "cpu" or stored_as(folder / name, dtype) else {"device_map": {"": device}}
    module, loading = module_class.from_pretrained(
        str(folder / name),
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        **straight,
    )
    if missing := sorted(loading["missing_keys"]):
        reason = f"{name} lacks weights, such as {missing[0]} ({len(missing)} in all)"
        raise ModelError("load", f"editor model {folder}: {reason}")
    return module.eval()


def pass_image_positions(text_encoder: Any) -> None:
    """Tell the text encoder which tokens are those of images, which the pipelines of diffusers 0.42 do not.

    transformers 4 finds them itself. From version 5 on it silently numbers the tokens of images like words, and the
    prompt embeddings differ from those that the model was trained with (diffusers issue 14194).
    """
    import inspect

    if "mm_token_type_ids" not in inspect.signature(text_encoder.forward).parameters:
        return
    if getattr(text_encoder, "_warmbench_hooked", False):
        return  # the module comes from another pipeline
    text_encoder._warmbench_hooked = True
    image_token = text_encoder.config.image_token_id

    def add(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if kwargs.get("mm_token_type_ids") is None and kwargs.get("input_ids") is not None:
            kwargs = {**kwargs, "mm_token_type_ids": (kwargs["input_ids"] == image_token).int()}
        return args, kwargs

    text_encoder.register_forward_pre_hook(add, with_kwargs=True)


def keep_quiet() -> None:
    """Keep messages of these libraries out of the worker's log; their real errors are exceptions."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
