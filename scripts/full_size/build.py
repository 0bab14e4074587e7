"""Builds a checkpoint on disk: configurations, a small tokenizer, random weights in shards.

``python -m scripts.full_size.build JOB`` does it in a process of its own, so that the device is free afterwards.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.full_size import kontext
from scripts.full_size.architectures import Architecture, architecture, with_token_ids
from scripts.full_size.budget import TooLittleSpaceError
from scripts.full_size.jobs import OutOfTimeError, work_on_job
from scripts.full_size.weights import (
    Shape,
    missing_bytes,
    plan_shards,
    shard_names,
    total_bytes,
    write_shard,
    write_weights,
)
from scripts.tiny_models.editor import COMPONENTS
from scripts.tiny_models.tokenizer import CHAT_TEMPLATE, save_tokenizer

_DIFFUSERS_STEM = "diffusion_pytorch_model"
_TRANSFORMERS_STEM = "model"
_GB = 1e9
# Reports made with the model print what it says.
_NOTE = ".warmbench-note.txt"
_NOTE_TEXT = "it has random weights, so that its results carry no meaning.\n"

_SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "invert_sigmas": False,
    "max_image_seq_len": 8192,
    "max_shift": 0.9,
    "num_train_timesteps": 1000,
    "shift": 1.0,
    "shift_terminal": 0.02,
    "stochastic_sampling": False,
    "time_shift_type": "exponential",
    "use_beta_sigmas": False,
    "use_dynamic_shifting": True,
    "use_exponential_sigmas": False,
    "use_karras_sigmas": False,
}

Stems = dict[str, tuple[dict[str, Shape], str]]
"""Sub-folder to its weights and the stem of their files."""


def build_editor(folder: Path, parts: Architecture, device: str, between: Callable[[], None]) -> None:
    """Write a Qwen-Image-Edit pipeline; files of an earlier call stay.

    Raises:
        TooLittleSpaceError: the disk has too little space for the missing weights.
    """
    import diffusers

    tokenizer = save_tokenizer(folder / "tokenizer")
    _save_image_processor(folder / "processor", "Qwen2VLProcessor", patch=14, pixels=(3136, 12845056))
    save_tokenizer(folder / "processor")
    _write_json(folder / "scheduler" / "scheduler_config.json", _SCHEDULER)
    configs = {
        "transformer": parts.transformer,
        "vae": parts.vae,
        "text_encoder": {**with_token_ids(parts.text_encoder, tokenizer), "dtype": "bfloat16"},
    }
    for name, config in configs.items():
        _write_json(folder / name / "config.json", config)
    _write_all(folder, editor_weights(folder), parts.shard_bytes, device, between)
    # Written last: a folder without it is no model.
    index = {"_class_name": "QwenImageEditPipeline", "_diffusers_version": diffusers.__version__, **COMPONENTS}
    _write_json(folder / "model_index.json", index)


def build_kontext(folder: Path, parts: Architecture, device: str, between: Callable[[], None]) -> None:
    """Write a FLUX.1 Kontext pipeline; files of an earlier call stay.

    Raises:
        TooLittleSpaceError: the disk has too little space for the missing weights.
    """
    import diffusers

    kontext.save_small_parts(folder, parts.kontext)
    weights = _weights_of(folder, kontext.COMPONENTS, kontext.WITH_WEIGHTS)
    _write_all(folder, weights, parts.shard_bytes, device, between)
    # Written last: a folder without it is no model.
    index = {"_class_name": "FluxKontextPipeline", "_diffusers_version": diffusers.__version__, **kontext.COMPONENTS}
    _write_json(folder / "model_index.json", index)


def build_reward(folder: Path, parts: Architecture, device: str, between: Callable[[], None]) -> None:
    """Write a Qwen3-VL mixture of experts; files of an earlier call stay.

    Raises:
        TooLittleSpaceError: the disk has too little space for the missing weights.
    """
    tokenizer = save_tokenizer(folder)
    config = {**with_token_ids(parts.reward, tokenizer), "dtype": "bfloat16"}
    _save_image_processor(folder, "Qwen3VLProcessor", patch=16, pixels=parts.image_pixels, mean=0.5, deviation=0.5)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    text = config["text_config"]
    ends = {"bos_token_id": text["bos_token_id"], "eos_token_id": [text["eos_token_id"], tokenizer.pad_token_id]}
    _write_json(folder / "generation_config.json", {**ends, "pad_token_id": tokenizer.pad_token_id})
    _write_all(folder, {"": (reward_weights(config), _TRANSFORMERS_STEM)}, parts.shard_bytes, device, between)
    # Written last: a folder without it is no model.
    _write_json(folder / "config.json", config)


def build_second_editor(first: Path, second: Path, parts: Architecture, device: str) -> None:
    """Write another checkpoint: one shard of its transformer has other weights, the rest are links to the first one.

    Loading it in place of the first still reads and copies all weights.
    """
    if (second / "model_index.json").exists():
        return
    shapes = meta_shapes("QwenImageTransformer2DModel", _read_json(first / "transformer" / "config.json"))
    shards = plan_shards(shapes, parts.shard_bytes)
    files = shard_names(_DIFFUSERS_STEM, len(shards))
    file = min(files, key=lambda file: (first / "transformer" / file).stat().st_size)
    own, names = second / "transformer" / file, shards[files.index(file)]
    for path in first.rglob("*"):
        target = second / path.relative_to(first)
        if path.is_file() and target not in (own, second / "model_index.json") and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())
    write_shard(own, {name: shapes[name] for name in names}, device=device, seed=1)
    shutil.copy(first / "model_index.json", second)


def editor_weights(folder: Path) -> Stems:
    """The weights of the three components whose configurations are in ``folder``."""
    return _weights_of(folder, COMPONENTS, ("transformer", "text_encoder", "vae"))


def _weights_of(folder: Path, components: Mapping[str, Sequence[str]], names: Sequence[str]) -> Stems:
    weights: Stems = {}
    for name in names:
        library, kind = components[name]
        stem = _TRANSFORMERS_STEM if library == "transformers" else _DIFFUSERS_STEM
        weights[name] = (meta_shapes(kind, _read_json(folder / name / "config.json")), stem)
    return weights


def model_bytes(parts: Architecture) -> dict[str, int]:
    """The bytes of all weights of each model."""
    editor = {"transformer": parts.transformer, "text_encoder": parts.text_encoder, "vae": parts.vae}
    return {
        "editor": _bytes_of(COMPONENTS, editor),
        "kontext": _bytes_of(kontext.COMPONENTS, parts.kontext),
        "reward": total_bytes(reward_weights(parts.reward)),
    }


def _bytes_of(components: Mapping[str, Sequence[str]], configs: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(total_bytes(meta_shapes(components[name][1], config)) for name, config in configs.items())


def reward_weights(config: Mapping[str, Any]) -> dict[str, Shape]:
    """The weights of a Qwen3-VL mixture of experts, as in published checkpoints.

    In files, the experts' inputs come first; in memory, versions of transformers differ.
    """
    text = config["text_config"]
    hidden, inner, experts = text["hidden_size"], text["moe_intermediate_size"], text["num_experts"]
    shapes = meta_shapes("Qwen3VLMoeForConditionalGeneration", config)
    for name in shapes:
        if name.endswith("experts.gate_up_proj"):
            shapes[name] = (experts, hidden, 2 * inner)
        elif name.endswith("experts.down_proj"):
            shapes[name] = (experts, inner, hidden)
    return shapes


def meta_shapes(class_name: str, config: Mapping[str, Any]) -> dict[str, Shape]:
    """The names and shapes of a model's weights, from a model on the meta device."""
    import torch
    import transformers

    with torch.device("meta"):
        if hasattr(transformers, class_name):
            model = getattr(transformers, class_name)(transformers.AutoConfig.for_model(**config))
        else:
            import diffusers  # not for the reward: it takes two seconds

            model = getattr(diffusers, class_name).from_config(dict(config))
    # A weight that has two names (such as the embeddings of a T5 encoder) is in files once.
    once = {id(tensor): (name, tuple(tensor.shape)) for name, tensor in model.state_dict(keep_vars=True).items()}
    return dict(once.values())


def _write_all(folder: Path, weights: Stems, shard_bytes: int, device: str, between: Callable[[], None]) -> None:
    needed = sum(missing_bytes(folder / name, shapes, stem, shard_bytes) for name, (shapes, stem) in weights.items())
    check_space(folder, needed)
    for name, (shapes, stem) in weights.items():
        write_weights(folder / name, shapes, stem=stem, shard_bytes=shard_bytes, device=device, between=between)


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk has this many bytes free.

    Raises:
        TooLittleSpaceError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise TooLittleSpaceError(
            f"{folder} needs {needed / _GB:.1f} GB more, and there are {free / _GB:.1f} GB free: give another folder"
            " with --models, or limit the models' depth with --layers"
        )


def _check_device(device: str) -> None:
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        reason = f"torch {torch.__version__} sees no GPU here"
        raise ValueError(f"device {device}: {reason}; --size tiny does the same on a CPU")


def _save_image_processor(
    folder: Path,
    processor: str,
    *,
    patch: int,
    pixels: tuple[int, int],
    mean: float | None = None,
    deviation: float | None = None,
) -> None:
    smallest, largest = pixels
    content = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073] if mean is None else [mean] * 3,
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711] if deviation is None else [deviation] * 3,
        "max_pixels": largest,
        "merge_size": 2,
        "min_pixels": smallest,
        "patch_size": patch,
        "processor_class": processor,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": largest, "shortest_edge": smallest},
        "temporal_patch_size": 2,
    }
    _write_json(folder / "preprocessor_config.json", content)
    shared = ("image_mean", "image_std", "merge_size", "patch_size", "processor_class", "size", "temporal_patch_size")
    video = {key: content[key] for key in shared}
    kind = processor.replace("Processor", "VideoProcessor")
    _write_json(folder / "video_preprocessor_config.json", {**video, "video_processor_type": kind})


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


_BUILDERS = {"editor": build_editor, "kontext": build_kontext, "reward": build_reward}


def _main(job: dict[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    parts = architecture(job["size"], job["layers"])
    folder = Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    _check_device(job["device"])

    def in_time() -> None:
        if time.time() > job["until"]:
            raise OutOfTimeError("some shards are missing; the next call continues there")

    started = time.monotonic()
    build = _BUILDERS[job["role"]]
    (folder / _NOTE).write_text(_NOTE_TEXT, encoding="utf-8")
    build(folder, parts, job["device"], in_time)
    seconds = time.monotonic() - started
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    figure = f"{size / _GB:.4g} GB, {seconds:.0f} s"
    report({"what": f"the {job['role']}'s files", "figure": figure, "bytes": size, "seconds": seconds})


if __name__ == "__main__":
    work_on_job(_main)
