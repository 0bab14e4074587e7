"""The components of FLUX.1 Kontext and of the FLUX.2 family."""

from __future__ import annotations

from typing import Any

from scripts.tiny_models.pipelines.parts import (
    HIDDEN,
    LATENT_CHANNELS,
    Processor,
    clip_text_encoder,
    clip_tokenizer,
    megapixel_vae,
    t5_encoder,
    unigram_tokenizer,
)
from scripts.tiny_models.tokenizer import build_tokenizer

_TEXT = 16
_IMAGE_TOKEN = "[IMG]"  # noqa: S105 - a token of text
_MISTRAL_LAYERS = 30
"""The pipeline of FLUX.2 takes the output of layers 10, 20 and 30."""


def flux_kontext() -> dict[str, Any]:
    """FLUX.1 Kontext, which makes about one megapixel of each source image."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    tokenizer = unigram_tokenizer()
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(),
        "text_encoder": clip_text_encoder(),
        "text_encoder_2": t5_encoder(len(tokenizer)),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": tokenizer,
        "transformer": FluxTransformer2DModel(
            patch_size=1,
            in_channels=4 * LATENT_CHANNELS,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=HIDDEN,
            pooled_projection_dim=HIDDEN,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        "vae": megapixel_vae(downsampling=16, shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False),
        "image_encoder": None,
        "feature_extractor": None,
    }


def flux2_klein(*, distilled: bool = False) -> dict[str, Any]:
    """FLUX.2 klein, with or without a cache of keys and values."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = build_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=_TEXT,
        intermediate_size=16,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    return {
        "text_encoder": Qwen3ForCausalLM(config),
        "tokenizer": tokenizer,
        **_flux2_parts(guidance_embeds=False),
        "is_distilled": distilled,
    }


def flux2() -> dict[str, Any]:
    """FLUX.2."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    processor = _pixtral_processor()
    tokenizer = processor.tokenizer
    config = Mistral3Config(
        text_config={
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "hidden_size": _TEXT,
            "intermediate_size": 16,
            "num_attention_heads": 2,
            "num_hidden_layers": _MISTRAL_LAYERS,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "sliding_window": None,
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "image_size": 32,
            "patch_size": 8,
        },
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE_TOKEN),
        vision_feature_layer=-1,
    )
    return {
        "text_encoder": Mistral3ForConditionalGeneration(config),
        "tokenizer": processor,
        **_flux2_parts(guidance_embeds=True),
    }


def _flux2_parts(*, guidance_embeds: bool) -> dict[str, Any]:
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel

    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "transformer": Flux2Transformer2DModel(
            patch_size=1,
            in_channels=4 * LATENT_CHANNELS,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * _TEXT,
            timestep_guidance_channels=256,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=guidance_embeds,
        ),
        "vae": AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4, 4, 4, 4),
            layers_per_block=1,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=1,
        ),
    }


def _pixtral_processor() -> Processor:
    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [_IMAGE_TOKEN, "[IMG_BREAK]", "[IMG_END]"]})
    images = {"image_processor_type": "PixtralImageProcessor", "patch_size": 8, "size": {"longest_edge": 32}}
    return Processor("PixtralProcessor", tokenizer, images)
