"""The configurations of the models: those of published checkpoints, and tiny ones for a CPU.

The full ones are those of Qwen/Qwen-Image-Edit (20.4 billion parameters, its text encoder another 8.3) and of
Qwen/Qwen3-VL-30B-A3B-Instruct (31.1), with two differences: the token ids are those of a small tokenizer, and the
weights are random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scripts.full_size import kontext

Size = Literal["full", "tiny"]
SIZES: tuple[Size, ...] = ("full", "tiny")

_LATENT_CHANNELS = 16
_SPECIAL = ("image_pad", "video_pad", "vision_start", "vision_end")


@dataclass(frozen=True)
class Architecture:
    """The configurations of all parts, as in their ``config.json``, and how they are written and used.

    ``side`` is that of the images in pixels; ``shard_bytes`` is the largest size of a weight file.
    """

    transformer: Mapping[str, Any]
    text_encoder: Mapping[str, Any]
    vae: Mapping[str, Any]
    reward: Mapping[str, Any]
    kontext: Mapping[str, dict[str, Any]]
    image_pixels: tuple[int, int]
    side: int
    shard_bytes: int
    dtype: str


def architecture(size: Size, layers: int | None) -> Architecture:
    """All configurations of a size; ``layers`` limits the layers of transformer, text encoder and reward."""
    full = size == "full"
    return Architecture(
        transformer=_cut(_TRANSFORMER if full else _TINY_TRANSFORMER, "num_layers", layers),
        text_encoder=_cut_text(_TEXT_ENCODER if full else _TINY_TEXT_ENCODER, layers),
        vae=_VAE if full else _TINY_VAE,
        reward=_cut_text(_REWARD if full else _TINY_REWARD, layers),
        kontext=kontext.configs(full=full, layers=layers),
        image_pixels=(65536, 16777216) if full else (4096, 16384),
        side=1024 if full else 128,
        shard_bytes=4 * 1024**3 if full else 200_000,
        dtype="bfloat16" if full else "float32",
    )


def with_token_ids(config: Mapping[str, Any], tokenizer: Any) -> dict[str, Any]:
    """The configuration of a vision-language model with this tokenizer's ids.

    Raises:
        ValueError: the tokenizer has more tokens than the model.
    """
    if len(tokenizer) > config["text_config"]["vocab_size"]:
        raise ValueError(f"{len(tokenizer)} tokens are more than the model's {config['text_config']['vocab_size']}")
    names = {f"{name.removesuffix('_pad')}_token_id": f"<|{name}|>" for name in _SPECIAL}
    ids = {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}
    ends = {
        "bos_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
    }
    return {**config, **ids, "text_config": {**config["text_config"], **ends}}


def _cut(config: Mapping[str, Any], key: str, layers: int | None) -> Mapping[str, Any]:
    return config if layers is None else {**config, key: min(layers, config[key])}


def _cut_text(config: Mapping[str, Any], layers: int | None) -> Mapping[str, Any]:
    return {**config, "text_config": _cut(config["text_config"], "num_hidden_layers", layers)}


_TRANSFORMER = {
    "_class_name": "QwenImageTransformer2DModel",
    "attention_head_dim": 128,
    "axes_dims_rope": [16, 56, 56],
    "guidance_embeds": False,
    "in_channels": 64,
    "joint_attention_dim": 3584,
    "num_attention_heads": 24,
    "num_layers": 60,
    "out_channels": 16,
    "patch_size": 2,
}

_TINY_TRANSFORMER = {
    **_TRANSFORMER,
    "attention_head_dim": 16,
    "axes_dims_rope": [4, 6, 6],
    "joint_attention_dim": 32,
    "num_attention_heads": 1,
    "num_layers": 2,
}

_VAE = {
    "_class_name": "AutoencoderKLQwenImage",
    "attn_scales": [],
    "base_dim": 96,
    "dim_mult": [1, 2, 4, 4],
    "dropout": 0.0,
    "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
    "z_dim": _LATENT_CHANNELS,
}

# As in scripts/tiny_models/editor.py, which says why.
_TINY_VAE = {
    **_VAE,
    "base_dim": 3,
    "dim_mult": [1, 1, 1, 1, 1],
    "num_res_blocks": 0,
    "temperal_downsample": [False, False, False, False],
}

_TEXT_ENCODER = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "qwen2_5_vl_text",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "max_position_embeddings": 128000,
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"mrope_section": [16, 24, 24], "rope_type": "default", "type": "default"},
        "rope_theta": 1000000.0,
        "vocab_size": 152064,
    },
    "vision_config": {
        "model_type": "qwen2_5_vl",
        "depth": 32,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "hidden_act": "silu",
        "hidden_size": 1280,
        "in_channels": 3,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
        "window_size": 112,
    },
}

_TINY_TEXT_ENCODER = {
    **_TEXT_ENCODER,
    "text_config": {
        **_TEXT_ENCODER["text_config"],  # type: ignore[dict-item]
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"mrope_section": [2, 1, 1], "rope_type": "default", "type": "default"},
        "vocab_size": 4096,
    },
    "vision_config": {
        **_TEXT_ENCODER["vision_config"],  # type: ignore[dict-item]
        "depth": 2,
        "fullatt_block_indexes": [1],
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 32,
    },
}

_REWARD = {
    "architectures": ["Qwen3VLMoeForConditionalGeneration"],
    "model_type": "qwen3_vl_moe",
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "qwen3_vl_moe_text",
        "attention_bias": False,
        "decoder_sparse_step": 1,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "max_position_embeddings": 262144,
        "mlp_only_layers": [],
        "moe_intermediate_size": 768,
        "norm_topk_prob": True,
        "num_attention_heads": 32,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 48,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
        "rope_theta": 5000000,
        "vocab_size": 151936,
    },
    "vision_config": {
        "model_type": "qwen3_vl_moe",
        "deepstack_visual_indexes": [8, 16, 24],
        "depth": 27,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 1152,
        "in_channels": 3,
        "intermediate_size": 4304,
        "num_heads": 16,
        "num_position_embeddings": 2304,
        "out_hidden_size": 2048,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}

_TINY_REWARD = {
    **_REWARD,
    "text_config": {
        **_REWARD["text_config"],  # type: ignore[dict-item]
        "head_dim": 16,
        "hidden_size": 64,
        "intermediate_size": 128,
        # Not half of the hidden size: a transposed expert would look like one that is not.
        "moe_intermediate_size": 24,
        "num_attention_heads": 4,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        "vocab_size": 4096,
    },
    "vision_config": {
        **_REWARD["vision_config"],  # type: ignore[dict-item]
        "deepstack_visual_indexes": [0],
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "num_position_embeddings": 64,
        "out_hidden_size": 64,
    },
}
