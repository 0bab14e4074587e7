"""The keys that editors share, and those that rewards share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workers.models.declaration import SHARED_KEYS, Conflict, Key, KeyKind, ignored, pick
from workers.models.fitting_keys import GPUS_PER_WORKER, OFFLOAD, QUANTIZATION, REWARD_OFFLOAD

MAX_SEED = 2**62
_HIGHEST_LOGITS_SCORE = 19
_DTYPES = ("bfloat16", "float16", "float32")
_SCORINGS = ("generate", "logits")
_CACHES = ("first_block_cache", "taylorseer_cache", "cache_dit")


def model_name(default: str | None, meaning: str, *, optional: bool = False) -> Key:
    """The key ``model_name``, which every type has."""
    return Key("model_name", "text", default, meaning, "load", low=1, high=4096, optional=optional)


def judging_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """Limits on pixels that exclude each other, and a scale that `logits` cannot score on."""
    low, high = values["min_pixels"], values["max_pixels"]
    if low is not None and high is not None and low > high:
        yield Conflict((("min_pixels",), ("max_pixels",)), f"{low} is above max_pixels, {high}")
    yield from scale_conflicts(values)


def scale_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """A scale that `logits` cannot score on."""
    low, high = values["score_range"]
    whole = float(low).is_integer() and float(high).is_integer()
    if values["scoring"] == "logits" and not (whole and low >= 0 and high <= _HIGHEST_LOGITS_SCORE):
        message = f"scoring by logits needs whole numbers from 0 to {_HIGHEST_LOGITS_SCORE}, found [{low:g}, {high:g}]"
        yield Conflict((("score_range",), ("scoring",)), message, "or write `scoring: generate`")


def _optimization_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    on = [name for name in _CACHES if values.get(name)]
    if len(on) > 1:
        yield Conflict(tuple((name,) for name in on), f"only one cache at a time, found {' and '.join(on)}")
    if values["fp8"] and values["compile_repeated_blocks"]:
        message = "weights that change their type in every layer can't be compiled with profit"
        yield Conflict((("compile_repeated_blocks",), ("fp8",)), message, "keep one of the two")


_DTYPE = Key("dtype", "choice", "bfloat16", "The type of the weights.", "load", choices=_DTYPES)
_ENVIRONMENT_KEYS = (
    Key("conda_env", "environment", None, "The name of the conda environment that the workers run in.", "process"),
    Key("python", "path", None, "Instead of `conda_env`: the Python that the workers run in.", "process"),
)


def _approximate(name: str, kind: KeyKind, default: Any, meaning: str, **bounds: Any) -> Key:
    """An optimization that changes pixels."""
    return Key(name, kind, default, f"Approximate. {meaning}", approximate=True, **bounds)


OPTIMIZATIONS = (
    Key("compile_repeated_blocks", "bool", False, "Exact. Compile the transformer's blocks in the first edit."),
    Key(
        "attention_backend",
        "text",
        None,
        "Such as `_native_cudnn` of diffusers. Exact, unless it quantizes (`sage`, `int8`, `fp8`).",
        pattern="^[a-z0-9_]{1,60}$",
        approximate="sage|int8|fp8",
    ),
    Key("keep_prompt_embeddings", "bool", False, "Exact. Reuse the prompt embeddings of earlier edits."),
    _approximate(
        "first_block_cache", "float", None, "Its threshold, about 0.05 to 0.2.", low=0, high=1, exclusive=True
    ),
    _approximate("taylorseer_cache", "int", None, "Predict attention in all but every N-th step.", low=2, high=50),
    _approximate("cache_dit", "bool", False, "The package cache-dit with its own defaults."),
    _approximate("fp8", "bool", False, "Store the transformer's weights in 8-bit floats."),
    _approximate(
        "lightning_lora",
        "hub_file",
        None,
        "A Lightning LoRA for few steps (a .safetensors file, or OWNER/NAME/FILE on the hub); "
        "set num_inference_steps and true_cfg_scale too.",
    ),
)


_EXACT: Mapping[str, Any] = {"compile_repeated_blocks": True, "keep_prompt_embeddings": True}
OPTIMIZATION_SETS: Mapping[str, Mapping[str, Any]] = {
    "exact": _EXACT,
    "approximate": {**_EXACT, "first_block_cache": 0.08},
}
"""What is on by the names ``exact`` and ``approximate``: nothing that needs a further package or another checkpoint."""


def _lora_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    if values["path"] is None:
        yield Conflict((("path",),), "is missing", "give a .safetensors file, or OWNER/NAME/FILE on the hub")


_LORA_KEYS = (
    Key("path", "hub_file", None, "A .safetensors file, or OWNER/NAME/FILE on the hub."),
    Key("weight", "float", 1.0, "Its strength; 1 as it was trained.", low=-10, high=10),
)

DEVICE = Key("device", "device", None, "`cuda` (the first GPU), `cuda:N` or `cpu`.", "process", choices=("cuda", "cpu"))
EDITOR_KEYS = (
    model_name(None, "Which model: a folder, or a name on the hub."),
    _DTYPE,
    Key("num_inference_steps", "int", 50, "Denoising steps: more is slower and better.", low=1, high=1000),
    Key("true_cfg_scale", "float", 4.0, "Guidance by the instruction; 1 or less switches it off.", low=0, high=100),
    Key("negative_prompt", "text", " ", "What the edit should not be; guidance works against it.", high=10_000),
    Key("seed", "int", 0, "Seeds the noise of every pair; sample i of a pair takes seed + i.", low=0, high=MAX_SEED),
    Key("height", "int", None, "Of the edit, in pixels; left out: what the pipeline chooses.", low=16, high=16_384),
    Key("width", "int", None, "Of the edit, in pixels; left out: what the pipeline chooses.", low=16, high=16_384),
    Key(
        "images",
        "choice",
        "first",
        "Of an item with several source images: the `first`, or `all`, for a model that takes several.",
        "nothing",
        choices=("first", "all"),
    ),
    Key("enable_batch_sync", "bool", True, "Work in rounds with barriers; false: no waiting.", "nothing"),
    Key("disable_progress_bar", "bool", True, "From older configs, without effect.", "nothing"),
    Key("threads_per_worker", "int", 1, "CPU threads of torch; they change the last bits.", "load", low=1, high=256),
    Key(
        "optimizations",
        "mapping",
        None,
        "What makes the editor faster: a mapping, or a set by its name, `exact` or `approximate`. By default nothing "
        "that changes a pixel. Reports say which were on.",
        "load",
        keys=OPTIMIZATIONS,
        rules=(_optimization_conflicts,),
        sets=OPTIMIZATION_SETS,
    ),
    Key(
        "lora",
        "list",
        (),
        "LoRAs to add to the transformer, each a `path` and a `weight`.",
        "load",
        high=16,
        item="mapping",
        keys=_LORA_KEYS,
        rules=(_lora_conflicts,),
        later=True,
    ),
    Key(
        "transformer_path",
        "path",
        None,
        "The folder of a transformer (or unet) that was trained alone. It takes the place of the model's own.",
        "load",
        later=True,
    ),
    OFFLOAD,
    QUANTIZATION,
    DEVICE,
    Key(
        "device_ids",
        "devices",
        None,
        "Instead of `device`, one worker per entry: CUDA indices among the visible GPUs, or `cpu`, which may be "
        "repeated. A type that needs a GPU and has neither takes all visible GPUs but the reward's.",
        "process",
    ),
    GPUS_PER_WORKER,
    *_ENVIRONMENT_KEYS,
)

REWARD_KEYS = (
    model_name(None, "Which model: a folder, or a name on the hub."),
    Key(
        "device",
        "device",
        "auto",
        "`auto`: the editor's `device`; beside `device_ids` the lowest visible GPU that is not listed, else one "
        "process on each of the editors' GPUs; without GPUs the CPU. "
        "Or `cuda` (the first visible GPU), `cuda:N`, `cpu`.",
        "process",
        choices=("auto", "cuda", "cpu"),
    ),
    Key("device_ids", "devices", None, "Instead of `device`: one process per entry, CUDA indices or `cpu`.", "process"),
    GPUS_PER_WORKER,
    _DTYPE,
    Key("scoring", "choice", "generate", "`generate`: read the reply; `logits`: expected score.", choices=_SCORINGS),
    Key("score_range", "range", (0, 10), "The lowest and the highest score; `logits`: whole numbers from 0 to 19."),
    Key("max_new_tokens", "int", 128, "The longest reply, in tokens.", low=1, high=32_768),
    Key(
        "do_sample",
        "fixed",
        False,
        "Always false: scores must not depend on chance.",
        "nothing",
        because="a score that is drawn by lot can't be had twice",
    ),
    Key("use_flash_attention", "bool", False, "FlashAttention 2, where it is installed.", "load"),
    Key("use_batch_inference", "bool", True, "Score in batches; false: one at a time.", "speed"),
    Key("batch_size", "int", 4, "Edits per batch; halved by itself where memory is short.", "speed", low=1, high=256),
    Key("min_pixels", "int", None, "Smaller images are enlarged to this number.", low=1, high=2**28),
    Key("max_pixels", "int", None, "Larger images are reduced to this number.", low=1, high=2**28),
    Key("compare_with_original", "bool", False, "Show the model the source image beside the edit."),
    Key("threads_per_worker", "int", 1, "CPU threads of torch in each worker.", "load", low=1, high=256),
    REWARD_OFFLOAD,
    QUANTIZATION,
    *_ENVIRONMENT_KEYS,
)

UNUSED_EDITOR_KEYS = ignored(
    EDITOR_KEYS,
    "dtype",
    "optimizations",
    "lora",
    "transformer_path",
    "offload",
    "quantization",
    "conda_env",
    "python",
)
"""For an editor that stands for a diffusion pipeline, and loads none."""
SHARED_EDITOR_KEYS = pick(EDITOR_KEYS, *SHARED_KEYS["editor"])
"""For an editor that is no diffusion pipeline."""
SHARED_REWARD_KEYS = pick(REWARD_KEYS, *SHARED_KEYS["reward"])
"""For a reward that is no language model."""
