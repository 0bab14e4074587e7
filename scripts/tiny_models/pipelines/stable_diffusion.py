"""The components of InstructPix2Pix, on Stable Diffusion and on SDXL."""

from __future__ import annotations

from typing import Any

from scripts.tiny_models.pipelines.parts import HIDDEN, LATENT_CHANNELS, clip_text_encoder, clip_tokenizer, vae


def instruct_pix2pix() -> dict[str, Any]:
    """Those of Stable Diffusion."""
    return {
        "vae": vae(),
        "unet": _unet(),
        "scheduler": _scheduler(),
        "text_encoder": clip_text_encoder(),
        "tokenizer": clip_tokenizer(),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }


def instruct_pix2pix_xl() -> dict[str, Any]:
    """Those of SDXL."""
    return {
        "vae": vae(),
        "unet": _unet(
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=8 * 6 + HIDDEN,
            cross_attention_dim=2 * HIDDEN,
        ),
        "scheduler": _scheduler(),
        "text_encoder": clip_text_encoder(),
        "text_encoder_2": clip_text_encoder(projected=True),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(),
    }


def _scheduler() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear")


def _unet(**settings: Any) -> Any:
    from diffusers import UNet2DConditionModel

    usual = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "sample_size": 8,
        "in_channels": 2 * LATENT_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": HIDDEN,
        "attention_head_dim": 4,
        "norm_num_groups": 2,
    }
    return UNet2DConditionModel(**{**usual, **settings})
