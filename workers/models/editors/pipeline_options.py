"""The optimizations of an editing pipeline (``diffusion_model.params.optimizations``), and LoRAs, added after loading.

They are load parameters: with other options the model is loaded again, so nothing has to be switched off. Where only
the weights are replaced, modules that stay keep their options.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sysconfig
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.editors.class_options import lacking
from workers.models.editors.pipeline_facts import DENOISERS
from workers.models.editors.pipeline_loading import denoiser_of
from workers.models.editors.pipeline_loras import add_lightning_lora, add_loras
from workers.models.editors.qwen_image_embeddings import KeptEmbeddings
from workers.models.quantization import quantized_copies
from workers.models.safetensors_files import cast_bytes

_KEY = "diffusion_model.params.optimizations"
_LORA = "lora"
_CHANGE_WEIGHTS = {"fp8"}
_PACKAGES = {"cache_dit": "cache_dit", "lightning_lora": "peft", _LORA: "peft"}


def checked_options(params: Mapping[str, Any], supported: Collection[str]) -> dict[str, Any]:
    """Return the options that are on, LoRAs among them, after checking that this editor and this machine support them.

    ``supported`` are the optimizations of the editor.

    Raises:
        ModelError: of kind ``config``, with the option's name.
    """
    given = params.get("optimizations") or {}
    if not isinstance(given, Mapping):
        raise ModelError("config", f"{_KEY} must be a mapping of names to values, not {given!r}")
    if unknown := [str(name) for name in given if name not in supported]:
        raise ModelError("config", f"{_KEY}: this editor does not support {', '.join(unknown)}")
    options = {name: value for name, value in given.items() if value is not None and value is not False}
    if loras := params.get(_LORA):
        options[_LORA] = loras
    for name, package in _PACKAGES.items():
        if name in options and importlib.util.find_spec(package) is None:
            raise ModelError("config", f"{_path(name)} needs the package {package}, which is not installed")
    if "compile_repeated_blocks" in options and (missing := _missing_for_compiling()):
        raise ModelError("config", f"{_KEY}.compile_repeated_blocks needs {missing}")
    return options


def switch_on(pipeline: Any, options: Mapping[str, Any], device: str) -> None:
    """Switch on checked ``options`` in a pipeline that will work on ``device``.

    Raises:
        ModelError: of kind ``config``: the installed version or the device lacks one of them.
    """
    if "keep_prompt_embeddings" in options:
        pipeline.encode_prompt = KeptEmbeddings(pipeline.encode_prompt)
    denoiser = denoiser_of(pipeline)
    if getattr(denoiser, "_warmbench_switched", False):
        return  # it comes from another pipeline with the same options
    denoiser._warmbench_switched = True
    # Set even if it is the default: diffusers keeps the last backend for the whole process, also for models that are
    # loaded later, and its own reset does not change that.
    for name in options:
        if reason := lacking(name, type(pipeline).__name__, type(denoiser).__name__):
            raise ModelError("config", f"{_path(name)}: {reason}")
    for name, act in _SWITCHES.items():
        value = options.get(name, "native" if name == "attention_backend" else None)
        if value is not None:
            _act(name, act, pipeline, value, device)


def can_be_replaced(options: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether new weights may replace the loaded ones.

    A LoRA changes these, cache-dit and ``offload`` wrap their modules, and weights are cast to 8 bits or quantized
    faster on the device.
    """
    fitted = params.get("offload", "none") != "none" or params.get("quantization") is not None
    return not fitted and not options.keys() & {"lightning_lora", _LORA, "cache_dit", "fp8"}


def host_copies(files: Sequence[str], params: Mapping[str, Any], *, straight: bool = False) -> int:
    """Return the bytes of the weights that host memory would hold as a copy: those that are cast,
    changed or quantized.

    With ``straight``, on the way to a device, on which they are changed and most of them are cast.
    """
    changed = {name for name, value in (params.get("optimizations") or {}).items() if value} & _CHANGE_WEIGHTS
    of_denoiser = [name for name in files if Path(name).parent.name in DENOISERS]
    dtype = params.get("dtype", "bfloat16")
    quantized = None if straight else quantized_copies(files, params, dtype)
    if quantized is not None:
        return quantized
    if not changed or straight:
        return cast_bytes(files, dtype, straight=straight)
    copies = sum(Path(name).stat().st_size for name in of_denoiser)
    return copies + cast_bytes([name for name in files if name not in of_denoiser], dtype)


def _act(name: str, act: Callable[[Any, Any, str], None], pipeline: Any, value: Any, device: str) -> None:
    import torch

    try:
        act(pipeline, value, device)
    except (torch.OutOfMemoryError, MemoryError, ModelError):
        raise
    except Exception as error:
        # Where a package, a kernel or a device is missing, the libraries raise exceptions of any kind.
        reason = f"{type(error).__name__}: {error}"
        raise ModelError("config", f"{_path(name)}: {value!r} does not work on {device}: {reason}") from error


def _fp8(pipeline: Any, _on: bool, _device: str) -> None:
    import torch

    denoiser_of(pipeline).enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn)


def _attention_backend(pipeline: Any, name: str, device: str) -> None:
    """Select the backend and call it once: some fail only when they are called."""
    import torch
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    denoiser = denoiser_of(pipeline)
    denoiser.set_attention_backend(name)
    if name == "native":
        return
    processors = (getattr(module, "processor", None) for module in denoiser.modules())
    if not any(hasattr(processor, "_attention_backend") for processor in processors):
        raise ModelError("config", f"{_KEY}.attention_backend: a {type(denoiser).__name__} has no choice of backends")
    config = denoiser.config
    shape = (1, 16, config.get("num_attention_heads", 1), config.get("attention_head_dim", 64))
    tensor = torch.zeros(shape, dtype=denoiser.dtype, device=device)
    with torch.no_grad():
        dispatch_attention_fn(tensor, tensor, tensor, backend=AttentionBackendName(name))


def _first_block_cache(pipeline: Any, threshold: float, _device: str) -> None:
    from diffusers import FirstBlockCacheConfig

    denoiser_of(pipeline).enable_cache(FirstBlockCacheConfig(threshold=threshold))


def _taylorseer_cache(pipeline: Any, interval: int, _device: str) -> None:
    from diffusers import TaylorSeerCacheConfig

    denoiser = denoiser_of(pipeline)
    dtype = denoiser.dtype
    denoiser.enable_cache(TaylorSeerCacheConfig(cache_interval=interval, taylor_factors_dtype=dtype))


def _cache_dit(pipeline: Any, _on: bool, _device: str) -> None:
    # It patches the class of the pipeline permanently, and finds it by name: give this pipeline a class of its own.
    own = type(pipeline)
    pipeline.__class__ = type(own.__name__, (own,), {})
    importlib.import_module("cache_dit").enable_cache(pipeline)


def _compile_repeated_blocks(pipeline: Any, _on: bool, _device: str) -> None:
    # Rotary embeddings are complex numbers; torch warns that these are left as they are.
    warnings.filterwarnings("ignore", message="Torchinductor does not support code generation for complex")
    # Every instruction and every aspect ratio gives another shape. Without `dynamic` torch would compile for each.
    denoiser_of(pipeline).compile_repeated_blocks(dynamic=True)


_SWITCHES: dict[str, Callable[[Any, Any, str], None]] = {
    "attention_backend": _attention_backend,
    "lightning_lora": add_lightning_lora,
    _LORA: add_loras,
    "fp8": _fp8,
    "first_block_cache": _first_block_cache,
    "taylorseer_cache": _taylorseer_cache,
    "cache_dit": _cache_dit,
    "compile_repeated_blocks": _compile_repeated_blocks,
}
"""In the order in which they are applied: a LoRA changes weights before these are stored in fewer bits."""


def _path(name: str) -> str:
    return "diffusion_model.params.lora" if name == _LORA else f"{_KEY}.{name}"


def _missing_for_compiling() -> str | None:
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        return f"a C++ compiler, and there is no {compiler} on the PATH"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "Python's header files (Python.h), which are not installed"
    return None


def back_to_storage(denoiser: Any) -> None:
    """Restore the storage dtype of the layer that an exception left in its wider dtype."""
    for module in denoiser.modules():
        registry = getattr(module, "_diffusers_hook", None)
        hook = registry.get_hook("layerwise_casting") if registry is not None else None
        if hook is not None:
            hook.post_forward(module, None)
