"""The keys by which a model fits on its GPUs, for editors and rewards, and what they exclude."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from workers.models.declaration import Conflict, Key

OFFLOAD = Key(
    "offload",
    "choice",
    "none",
    "What leaves the GPU during an edit, if it cannot hold the model: `model`, all components but the one that "
    "works; `group`, all layers but the one that works (slow). Exact.",
    "load",
    choices=("none", "model", "group"),
    later=True,
)
REWARD_OFFLOAD = replace(
    OFFLOAD,
    meaning="What leaves the GPU while a batch is scored, if it cannot hold the model: `group`, all decoder layers but "
    "the one that works. Exact; slow, least so with `scoring: logits`.",
    choices=("none", "group"),
)
"""A judge is one component, so there is no ``model``."""
QUANTIZATION = Key(
    "quantization",
    "choice",
    None,
    "Approximate. Store the weights of linear layers in fewer bits, except those of a VAE and of experts: `int8` and "
    "`float8` (torchao), `nf4` (bitsandbytes).",
    "load",
    choices=("int8", "float8", "nf4"),
    later=True,
    approximate=True,
)
GPUS_PER_WORKER = Key(
    "gpus_per_worker",
    "int",
    1,
    "Spread each worker's model over this number of GPUs, if one cannot hold it. Exact. `device_ids` are taken in "
    "groups of this size, `device` is the first GPU of a group.",
    "process",
    low=1,
    high=8,
)


_ON_ONE_GPU = ("cache_dit", "compile_repeated_blocks")
"""Optimizations that replace the calls of layers, which take activations to their GPUs."""


def fitting_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """What quantized weights exclude."""
    if values["quantization"] is None:
        return
    hint = "keep one of the two"
    if values["offload"] == "group":
        message = "quantized weights cannot be offloaded in groups"
        of_editor = "seed" in values  # a judge has no `model`
        yield Conflict((("offload",), ("quantization",)), message, "write `offload: model`" if of_editor else hint)
    if values.get("lora"):
        yield Conflict((("quantization",), ("lora",)), "a LoRA cannot be merged into quantized weights", hint)
    on = values.get("optimizations") or {}
    for name in ("fp8", "lightning_lora"):
        if on and dict(on).get(name):
            message = (
                "the weights are quantized already" if name == "fp8" else "it cannot be merged into quantized weights"
            )
            yield Conflict((("optimizations", name), ("quantization",)), message, hint)


def spreading_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """What a model that is spread over several GPUs excludes."""
    size = values["gpus_per_worker"]
    if size == 1:
        return
    hint = "keep one of the two"
    if values.get("offload", "none") != "none":
        message = f"is {size} beside `offload`, which is for one GPU"
        yield Conflict((("gpus_per_worker",), ("offload",)), message, hint)
    if values.get("quantization") is not None:
        message = f"is {size}, but quantized weights stay on one GPU"
        yield Conflict((("gpus_per_worker",), ("quantization",)), message, hint)
    on = dict(values.get("optimizations") or {})
    for name in _ON_ONE_GPU:
        if on.get(name):
            message = f"is {size}, but `{name}` is for a model on one GPU"
            yield Conflict((("gpus_per_worker",), ("optimizations", name)), message, hint)
