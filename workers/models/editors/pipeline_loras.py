"""LoRAs of a pipeline (``diffusion_model.params.lora``), and a Lightning LoRA of Qwen-Image-Edit for few steps.

A LoRA changes weights only. The noise schedule with which Lightning LoRAs are distilled belongs to these alone.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.editors.pipeline_loading import denoiser_of
from workers.models.hub import downloading

_LIGHTNING = "diffusion_model.params.optimizations.lightning_lora"
_LORA = "diffusion_model.params.lora"


def lora_files(options: Mapping[str, Any], progress: Callable[[], None] = lambda: None) -> list[Path]:
    """Return the files of all LoRAs; one on the hub is downloaded if it is not cached. ``progress``: see
    ``hub.resolve_model``.

    Raises:
        ModelError: of kind ``model_not_found``.
    """
    lightning = options.get("lightning_lora")
    return [
        *([_file(_LIGHTNING, lightning, progress)] if lightning is not None else []),
        *(_file(_LORA, lora["path"], progress) for lora in options.get("lora", ())),
    ]


def add_lightning_lora(pipeline: Any, name: str, _device: str) -> None:
    """Add a Lightning LoRA, with its schedule: a fixed shift of 3, and no shift of the last step."""
    _add(pipeline, _LIGHTNING, _file(_LIGHTNING, name), "lightning")
    changed = {"base_shift": math.log(3), "max_shift": math.log(3), "shift_terminal": None}
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, **changed)


def add_loras(pipeline: Any, loras: Sequence[Mapping[str, Any]], _device: str) -> None:
    """Add LoRAs, each a ``path`` and a ``weight`` (1 if it is left out), beside those that are there."""
    denoiser = denoiser_of(pipeline)
    # A class of few users has no methods for LoRAs, its transformer does.
    holder = pipeline if hasattr(pipeline, "load_lora_weights") else denoiser
    weights = dict.fromkeys(getattr(denoiser, "peft_config", ()), 1.0)
    for number, lora in enumerate(loras):
        name = f"lora_{number}"
        _add(pipeline, f"{_LORA}[{number}]", _file(_LORA, lora["path"]), name)
        weights[name] = lora.get("weight", 1.0)
    holder.set_adapters(list(weights), list(weights.values()))


def _add(pipeline: Any, key: str, file: Path, name: str) -> None:
    """Add one LoRA to the pipeline, by the name that its adapter gets.

    Raises:
        ModelError: of kind ``config``: it is a LoRA of another model.
    """
    from safetensors.torch import load_file

    denoiser = denoiser_of(pipeline)
    misfit = f"{key}: {file} does not fit a {type(denoiser).__name__}"
    try:
        weights = load_file(str(file))
    except Exception as error:
        raise ModelError("load", f"{key}: {file} can't be read: {error}") from error
    if unknown := _unknown_layers(denoiser, weights):
        raise ModelError("config", f"{misfit}, which has no layer {unknown[0]} ({len(unknown)} of its layers in all)")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")  # several are meant
            if hasattr(pipeline, "load_lora_weights"):
                pipeline.load_lora_weights(weights, adapter_name=name)
            else:
                denoiser.load_lora_adapter(weights, prefix="transformer", adapter_name=name)
    except Exception as error:
        # Names and shapes of another model raise whatever diffusers and peft raise.
        raise ModelError("config", f"{misfit}: {type(error).__name__}: {error}") from error
    if name not in getattr(denoiser, "peft_config", ()):
        raise ModelError("config", f"{misfit}: it has no weights for it")


def _unknown_layers(denoiser: Any, weights: Mapping[str, Any]) -> list[str]:
    """The layers of a LoRA in diffusers' own format that the model lacks. diffusers only warns of them."""
    layers = {name for name, _ in denoiser.named_modules()}
    found = (re.fullmatch(r"(?:transformer|unet)\.(.+)\.lora_A\.weight", name) for name in weights)
    wanted = {match[1] for match in found if match}
    # An adapter that is there already has wrapped its layers.
    return sorted(name for name in wanted if name not in layers)


def _file(key: str, name: str, progress: Callable[[], None] = lambda: None) -> Path:
    path = Path(name).expanduser()
    if path.suffix == ".safetensors" and path.is_file():
        return path.absolute()
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if path.is_absolute() or owner in {".", "..", "~"} or not file.endswith(".safetensors"):
        wanted = "a .safetensors file, or OWNER/NAME/FILE.safetensors on the hub"
        raise ModelError("model_not_found", f"{key}: there is no file {name!r}; give {wanted}")
    return _from_hub(key, f"{owner}/{repository}", file, progress)


def _from_hub(key: str, repository: str, file: str, progress: Callable[[], None]) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    try:
        with downloading(repository, progress):
            return Path(hf_hub_download(repository, file))
    except (OSError, ValueError) as error:
        text = f"{key}: {file} of {repository} can't be downloaded: {error}"
        raise ModelError("model_not_found", text) from error
