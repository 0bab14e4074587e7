"""What all pipelines of diffusers have in common when they are loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from protocol.messages import Residency
from workers.interface import ModelError
from workers.models.device_memory import device_memory
from workers.models.editors.pipeline_facts import DENOISERS
from workers.models.quantization import checked_quantization, quantization_config
from workers.models.safetensors_files import goes_straight, stored_as

LIBRARIES = ("diffusers", "transformers")
"""Where the classes of components may come from."""
DTYPES = ("bfloat16", "float16", "float32")
DEFAULT_DTYPE = "bfloat16"


class PipelineParts(Struct, frozen=True):
    """How a pipeline is made of its files.

    ``read`` returns, of a dtype and a device, the components that the pipeline does not load by itself; ``assemble``
    makes the pipeline with these.
    """

    read: Callable[[str, str], Mapping[str, Any]]
    assemble: Callable[[Mapping[str, Any]], Any]


def load_onto(
    folder: Path,
    read_components: Callable[[str, str], Mapping[str, Any]],
    assemble: Callable[[Mapping[str, Any]], Any],
    params: Mapping[str, Any],
    devices: Sequence[str],
    residency: Residency,
    *,
    second_copy: bool,
) -> tuple[Any, Any]:
    """Return the pipeline of ``folder``, ready to edit, on its devices or in host memory, and the mover of its weights.

    Load parameters: ``dtype`` (``bfloat16``), ``threads_per_worker`` (1), ``offload`` (``none``), ``quantization``.

    Args:
        read_components: of a dtype and a device: the components that the pipeline does not load by itself.
        assemble: the pipeline with these components.

    Raises:
        ModelError: of kind ``config`` (a parameter), ``oom``, or ``load`` (the files are damaged or incomplete).
    """
    dtype = checked_params(params)
    device, several = devices[0], len(devices) > 1
    check_device(device)
    quantized = checked_quantization(params, "diffusion_model") is not None
    offload = params.get("offload", "none")
    straight = goes_straight(params, residency, devices)
    import torch

    torch.set_num_threads(params.get("threads_per_worker", 1))
    keep_quiet()
    try:
        from workers.models.moving.offload import mover_of
        from workers.models.moving.spread import spread_over

        components = read_components(dtype, device if straight else "cpu")
        modules = {name: part for name, part in components.items() if isinstance(part, torch.nn.Module)}
        if quantized and not straight:
            for module in modules.values():
                module.to("cpu")  # bitsandbytes quantizes on a GPU only
        if several:
            memory = device_memory(devices, free=residency == "device")
            mover: Any = spread_over(modules, devices, memory, "editor", cut=_cut(modules), second_copy=second_copy)
        else:
            mover = mover_of([*modules.values()], device, offload=offload, quantized=quantized, second_copy=second_copy)
        if residency == "device":
            mover.to_device(keep_private=False)
        return assemble(components), mover
    except ModelError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error)
    except Exception as error:
        # Damaged files raise whatever the library that reads them raises.
        raise ModelError("load", f"editor model {folder} can't be loaded: {type(error).__name__}: {error}") from error
    # Raised out here, where the traceback is gone: it would keep what was loaded so far.
    raise ModelError("oom", f"editor model {folder} does not fit on {', '.join(devices)}: {reason}")


def _cut(modules: Mapping[str, Any]) -> list[str]:
    """The components that may be on several devices. Others, such as a VAE, are used by more than being called."""
    from transformers import PreTrainedModel

    return [name for name, part in modules.items() if name in DENOISERS or isinstance(part, PreTrainedModel)]


def checked_params(params: Mapping[str, Any]) -> str:
    """Check all load parameters, and return the name of the dtype."""
    dtype = params.get("dtype", DEFAULT_DTYPE)
    if dtype not in DTYPES:
        raise ModelError("config", f"diffusion_model.params.dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    threads = params.get("threads_per_worker", 1)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ModelError("config", f"diffusion_model.params.threads_per_worker must be 1 or more, not {threads!r}")
    return str(dtype)


def check_device(device: str) -> None:
    """Raise a ModelError if this is a CUDA device and torch sees none."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
        raise ModelError("load", f"device {device}: torch {torch.__version__} sees no GPU here (it is {build})")


def load_module(
    folder: Path, name: str, class_path: list[str], dtype: str, device: str = "cpu", *, quantization: str | None = None
) -> Any:
    """Load one component by itself: the pipeline would use random weights in place of missing ones.

    Weights are mapped into host memory. Only those that have to be converted go straight to the device.
    ``quantization`` does not apply to a VAE, in which errors are visible.
    """
    import torch

    module_class = getattr(importlib.import_module(class_path[0]), class_path[1])
    # A device map lets each tensor be converted there, without a copy on the host.
    quantized = quantization is not None and not name.startswith("vae")
    mapped = device == "cpu" or (stored_as(folder / name, dtype) and not quantized)
    options: dict[str, Any] = {} if mapped else {"device_map": {"": device}}
    if quantization is not None and quantized:
        options["quantization_config"] = quantization_config(quantization, class_path[0], dtype)
    module, loading = module_class.from_pretrained(
        str(folder / name),
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        **options,
    )
    if missing := sorted(loading["missing_keys"]):
        reason = f"{name} lacks weights, such as {missing[0]} ({len(missing)} in all)"
        raise ModelError("load", f"editor model {folder}: {reason}")
    return module.eval()


def denoiser_of(pipeline: Any) -> Any:
    """The module of a pipeline that removes noise, step by step: what is trained, adapted and made faster."""
    return next(getattr(pipeline, name) for name in DENOISERS if getattr(pipeline, name, None) is not None)


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
