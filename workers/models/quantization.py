"""Weights in fewer bits, by the configs of torchao and bitsandbytes that diffusers and transformers take."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.fitting import QUANTIZATION_PACKAGES, needed_bytes, parts_of


def checked_quantization(params: Mapping[str, Any], section: str) -> str | None:
    """Return the kind of ``quantization``, None without, after checking that it works here.

    ``section`` is that of the config, for messages.

    Raises:
        ModelError: of kind ``config``.
    """
    kind = params.get("quantization")
    if kind is None:
        return None
    key = f"{section}.params.quantization"
    if kind not in QUANTIZATION_PACKAGES:
        raise ModelError("config", f"{key} must be one of {', '.join(QUANTIZATION_PACKAGES)}, not {kind!r}")
    import torch

    if kind == "nf4" and not torch.cuda.is_available():
        raise ModelError("config", f"{key}: nf4 needs a GPU, and torch sees none here")
    if importlib.util.find_spec(QUANTIZATION_PACKAGES[kind]) is None:
        raise ModelError(
            "config", f"{key}: {kind} needs the package {QUANTIZATION_PACKAGES[kind]}, which is not installed"
        )
    return str(kind)


def quantization_config(kind: str, library: str, dtype: str) -> Any:
    """Return the config with which ``from_pretrained`` of this library (diffusers, transformers) quantizes.

    ``dtype`` is the type that the layers calculate with; ``auto`` means bfloat16.
    """
    import torch

    configs = importlib.import_module(library)
    if kind == "nf4":
        return configs.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, dtype, torch.bfloat16)
        )
    quantization = importlib.import_module("torchao.quantization")
    weights = quantization.Int8WeightOnlyConfig if kind == "int8" else quantization.Float8WeightOnlyConfig
    return configs.TorchAoConfig(weights())


def quantizing_packages(params: Mapping[str, Any]) -> Sequence[str]:
    """The packages that have made the weights what they are."""
    kind = params.get("quantization")
    return () if kind is None else (QUANTIZATION_PACKAGES[kind],)


def quantized_copies(files: Iterable[str], params: Mapping[str, Any], dtype: str) -> int | None:
    """The bytes of the weights in host memory if these are quantized: they are as in no file. None if they are not."""
    kind = params.get("quantization")
    return None if kind is None else needed_bytes(parts_of(map(Path, files), dtype).values(), quantization=kind)


def held_bytes(tensor: Any) -> int:
    """The bytes of a tensor; of a quantized one, those of its parts, which its own size does not tell."""
    return sum(part.numel() * part.element_size() for part in _parts(tensor))


def _parts(tensor: Any) -> Iterator[Any]:
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        yield from _parts(getattr(tensor, name))
