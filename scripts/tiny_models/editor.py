"""Builds a tiny Qwen-Image-Edit: the real pipeline's classes, about 160,000 random weights, no download.

An edit takes about a second on one CPU core. The pipeline always works on about one megapixel, and layers at full
resolution take most of the time, so the VAE has as little as possible there: three channels, no residual blocks in the
encoder, the minimum in the decoder. (Two channels take longer to encode, four take twice as long to decode.) It
downsamples by 16, the real VAE by 8; the image sizes are the same, since the pipeline rounds them to multiples of 32.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.tiny_models.tokenizer import save_tokenizer
from scripts.tiny_models.weights import fill_weights

HIDDEN = 32
_LATENT_CHANNELS = 16
_DOWNSAMPLINGS = 4
_PATCH = 14
_MERGE = 2
# With a gain of 1, another instruction changes a tenth of the pixels, and the image is noise to a PNG encoder (2.6 MB);
# with 2 it changes half of the pixels, and the PNG has 1.4 MB.
_TRANSFORMER_GAIN = 2.0

COMPONENTS = {
    "processor": ["transformers", "Qwen2VLProcessor"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
    "tokenizer": ["transformers", "Qwen2Tokenizer"],
    "transformer": ["diffusers", "QwenImageTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKLQwenImage"],
}


def build_editor(folder: Path, *, seed: int = 0, pipeline: str = "QwenImageEditPipeline") -> None:
    """Write a complete checkpoint into ``folder``. The files have the same bytes every time.

    Args:
        folder: created if it is missing; files of the same names are overwritten.
        seed: each seed gives another checkpoint of the same architecture.
        pipeline: the pipeline's class; ``QwenImageEditPlusPipeline`` uses the same components.
    """
    tokenizer = save_tokenizer(folder / "tokenizer")
    save_processor(folder / "processor", tokenizer)
    scheduler().save_pretrained(folder / "scheduler")
    fill_weights(text_encoder(tokenizer), seed).save_pretrained(folder / "text_encoder")
    fill_weights(_transformer(), seed, gain=_TRANSFORMER_GAIN).save_pretrained(folder / "transformer")
    fill_weights(_vae(), seed).save_pretrained(folder / "vae")
    # Written last, because a folder without it is no model.
    write_index(folder, pipeline)


def write_index(folder: Path, pipeline: str) -> None:
    """Write the ``model_index.json`` of a pipeline class that has these components.

    Not by ``save_pretrained``: without torchvision the processor is a class of ours, the pipeline would save that name,
    and could not be loaded again.
    """
    import diffusers

    index = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__, **COMPONENTS}
    _write_json(folder / "model_index.json", index)


def _vae() -> Any:
    from diffusers import AutoencoderKLQwenImage

    return AutoencoderKLQwenImage(
        base_dim=3,
        z_dim=_LATENT_CHANNELS,
        dim_mult=[1] * (_DOWNSAMPLINGS + 1),
        num_res_blocks=0,
        temperal_downsample=[False] * _DOWNSAMPLINGS,
    )


def _transformer() -> Any:
    from diffusers import QwenImageTransformer2DModel

    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=4 * _LATENT_CHANNELS,
        out_channels=_LATENT_CHANNELS,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=1,
        joint_attention_dim=HIDDEN,
        axes_dims_rope=(4, 6, 6),
    )


def text_encoder(tokenizer: Any) -> Any:
    """A text encoder for this tokenizer, with torch's own random weights."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]},
        "bos_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    }
    vision = {
        "depth": 2,
        "hidden_size": HIDDEN,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
        "patch_size": _PATCH,
        "spatial_merge_size": _MERGE,
        "window_size": 4 * _PATCH * _MERGE,
        "fullatt_block_indexes": [1],
    }
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    special = dict(zip(names, tokenizer.convert_tokens_to_ids(tokens), strict=True))
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **special))


def scheduler() -> Any:
    """The scheduler of Qwen-Image-Edit."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        base_shift=0.5,
        invert_sigmas=False,
        max_image_seq_len=8192,
        max_shift=0.9,
        num_train_timesteps=1000,
        shift_terminal=0.02,
        time_shift_type="exponential",
        use_dynamic_shifting=True,
    )


def save_processor(folder: Path, tokenizer: Any) -> None:
    """Write the files of a Qwen VL processor in the form that the hub has; every version of transformers reads it."""
    tokenizer.save_pretrained(folder)
    smallest = (_PATCH * _MERGE * 2) ** 2
    largest = (_PATCH * _MERGE * 4) ** 2
    common = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "max_pixels": largest,
        "merge_size": _MERGE,
        "min_pixels": smallest,
        "patch_size": _PATCH,
        "processor_class": "Qwen2VLProcessor",
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": largest, "shortest_edge": smallest},
        "temporal_patch_size": 2,
    }
    _write_json(folder / "preprocessor_config.json", {**common, "image_processor_type": "Qwen2VLImageProcessor"})
    _write_json(folder / "video_preprocessor_config.json", {**common, "video_processor_type": "Qwen2VLVideoProcessor"})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
