"""The configurations of FLUX.1-Kontext-dev's components, and tiny ones for a CPU.

The full ones are those of black-forest-labs/FLUX.1-Kontext-dev (a transformer of 11.9 billion parameters, a T5 encoder
of 4.8), with two differences: the tokenizers are small, and the weights are random.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.tiny_models.pipelines.parts import clip_tokenizer, unigram_tokenizer

COMPONENTS: Mapping[str, tuple[str, str]] = {
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "T5EncoderModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "T5TokenizerFast"),
    "transformer": ("diffusers", "FluxTransformer2DModel"),
    "vae": ("diffusers", "AutoencoderKL"),
}
WITH_WEIGHTS = ("transformer", "text_encoder", "text_encoder_2", "vae")

_TRANSFORMER = {
    "_class_name": "FluxTransformer2DModel",
    "attention_head_dim": 128,
    "axes_dims_rope": [16, 56, 56],
    "guidance_embeds": True,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 19,
    "num_single_layers": 38,
    "patch_size": 1,
    "pooled_projection_dim": 768,
}
_CLIP = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "max_position_embeddings": 77,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
    "vocab_size": 49408,
}
_T5 = {
    "architectures": ["T5EncoderModel"],
    "model_type": "t5",
    "d_ff": 10240,
    "d_kv": 64,
    "d_model": 4096,
    "feed_forward_proj": "gated-gelu",
    "num_heads": 64,
    "num_layers": 24,
    "tie_word_embeddings": False,
    "vocab_size": 32128,
}
_VAE = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "latent_channels": 16,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "sample_size": 1024,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_post_quant_conv": False,
    "use_quant_conv": False,
}
_FULL = {"transformer": _TRANSFORMER, "text_encoder": _CLIP, "text_encoder_2": _T5, "vae": _VAE}
_TINY = {
    "transformer": {
        **_TRANSFORMER,
        "attention_head_dim": 16,
        "axes_dims_rope": [4, 4, 8],
        "in_channels": 16,
        "joint_attention_dim": 32,
        "num_attention_heads": 2,
        "num_layers": 1,
        "num_single_layers": 1,
        "pooled_projection_dim": 32,
    },
    "text_encoder": {
        **_CLIP,
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "projection_dim": 32,
        "vocab_size": 1000,
    },
    "text_encoder_2": {
        **_T5,
        "d_ff": 64,
        "d_kv": 8,
        "d_model": 32,
        "num_heads": 4,
        "num_layers": 2,
        "vocab_size": 128,
    },
    "vae": {
        **_VAE,
        "block_out_channels": [4, 4, 4, 4],
        "latent_channels": 4,
        "layers_per_block": 1,
        "mid_block_add_attention": False,  # over each position of a source that Kontext enlarges to a megapixel
        "norm_num_groups": 1,
    },
}
_SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}


def configs(*, full: bool, layers: int | None) -> dict[str, dict[str, Any]]:
    """The configuration of each component with weights; ``layers`` limits the layers of each."""
    source: Mapping[str, Mapping[str, Any]] = _FULL if full else _TINY
    chosen = {name: dict(config) for name, config in source.items()}
    for config in chosen.values():
        for key in ("num_layers", "num_single_layers", "num_hidden_layers"):
            if layers is not None and key in config:
                config[key] = min(layers, config[key])
    return chosen


def save_small_parts(folder: Path, chosen: Mapping[str, dict[str, Any]]) -> None:
    """Write all but weights and ``model_index.json``."""
    tokenizer = clip_tokenizer()
    tokenizer.save_pretrained(folder / "tokenizer")
    unigram_tokenizer().save_pretrained(folder / "tokenizer_2")
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    written = {**chosen, "text_encoder": {**chosen["text_encoder"], **ends}}
    for name, config in written.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "scheduler").mkdir(exist_ok=True)
    text = json.dumps(_SCHEDULER, indent=2) + "\n"
    (folder / "scheduler" / "scheduler_config.json").write_text(text, encoding="utf-8")
