"""The components of pipelines with a text encoder of Qwen that sees the source image."""

from __future__ import annotations

from typing import Any

from scripts.tiny_models.editor import text_encoder
from scripts.tiny_models.pipelines.parts import (
    HIDDEN,
    clip_text_encoder,
    clip_tokenizer,
    megapixel_vae,
    qwen3_vl,
    qwen_processor,
    wan_vae,
)
from scripts.tiny_models.tokenizer import build_tokenizer

_QWEN2_PATCH = 14


def longcat() -> dict[str, Any]:
    """LongCat-Image-Edit, which works on about one megapixel."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LongCatImageTransformer2DModel

    latent_channels = 16  # as the pipeline expects
    tokenizer = build_tokenizer()
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": text_encoder(tokenizer),
        "text_processor": qwen_processor("Qwen2VLProcessor", tokenizer, patch=_QWEN2_PATCH),
        "tokenizer": tokenizer,
        "transformer": LongCatImageTransformer2DModel(
            in_channels=4 * latent_channels,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=HIDDEN,
            pooled_projection_dim=HIDDEN,
            axes_dims_rope=[4, 4, 8],
        ),
        "vae": megapixel_vae(latent_channels, downsampling=32, shift_factor=0.1),
    }


def kandinsky() -> dict[str, Any]:
    """Kandinsky 5 I2I, which works on about one megapixel, too."""
    from diffusers import FlowMatchEulerDiscreteScheduler, Kandinsky5Transformer3DModel

    latent_channels = 4
    tokenizer = build_tokenizer()
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
        "text_encoder": text_encoder(tokenizer),
        "text_encoder_2": clip_text_encoder(),
        "tokenizer": qwen_processor("Qwen2VLProcessor", tokenizer, patch=_QWEN2_PATCH),
        "tokenizer_2": clip_tokenizer(),
        "transformer": Kandinsky5Transformer3DModel(
            in_visual_dim=latent_channels,
            out_visual_dim=latent_channels,
            in_text_dim=HIDDEN,
            in_text_dim2=HIDDEN,
            time_dim=16,
            model_dim=8,
            ff_dim=16,
            num_text_blocks=1,
            num_visual_blocks=1,
            axes_dims=(2, 2, 4),
            visual_cond=True,
        ),
        "vae": megapixel_vae(latent_channels),
    }


def dream_lite() -> dict[str, Any]:
    """DreamLite."""
    from diffusers import AutoencoderTiny, DreamLiteUNetModel, FlowMatchEulerDiscreteScheduler

    tokenizer = build_tokenizer()
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": qwen3_vl(tokenizer),
        "processor": qwen_processor("Qwen3VLProcessor", tokenizer),
        "tokenizer": tokenizer,
        "unet": DreamLiteUNetModel(
            sample_size=8,
            down_block_types=("DreamLiteCrossAttnNoSelfAttnDownBlock2D", "DreamLiteCrossAttnDownBlock2D"),
            up_block_types=("DreamLiteCrossAttnUpBlock2D", "DreamLiteUpBlock2D"),
            block_out_channels=(8, 16),
            cross_attention_dim=HIDDEN,
            attention_head_dim=4,
            layers_per_block=1,
            norm_num_groups=2,
            ff_mult=2,
        ),
        "vae": AutoencoderTiny(
            encoder_block_out_channels=(4, 4, 4, 4),
            decoder_block_out_channels=(4, 4, 4, 4),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        ),
    }


def joy_image(*, plus: bool = False) -> dict[str, Any]:
    """JoyImage-Edit and its Plus, which work on about one megapixel: their VAE makes a latent of 32 by 32 pixels."""
    import diffusers

    kind = "JoyImageEditPlusTransformer3DModel" if plus else "JoyImageEditTransformer3DModel"
    tokenizer = build_tokenizer()
    return {
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": qwen3_vl(tokenizer),
        "processor": qwen_processor("Qwen3VLProcessor", tokenizer),
        "tokenizer": tokenizer,
        "transformer": getattr(diffusers, kind)(
            patch_size=[1, 2, 2],
            in_channels=16,
            hidden_size=HIDDEN,
            num_attention_heads=2,
            text_dim=HIDDEN,
            num_layers=1,
            rope_dim_list=[4, 6, 6],
        ),
        "vae": wan_vae(32, patch=8),
    }


def qwen_image_21() -> dict[str, Any]:
    """Qwen-Image 2.1, whose VAE has an alpha channel. A token of the text encoder covers four latents."""
    from diffusers import (
        AutoencoderKLQwenImage21,
        FlowMatchEulerDiscreteScheduler,
        QwenImage21Transformer2DModel,
    )

    channels = 8
    tokenizer = build_tokenizer()
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": qwen3_vl(tokenizer),
        "processor": qwen_processor("Qwen3VLProcessor", tokenizer, largest=2048),
        "transformer": QwenImage21Transformer2DModel(
            in_channels=channels,
            out_channels=channels,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            context_in_dim=HIDDEN,
            mlp_ratio=2,
            axes_dims_rope=(4, 6, 6),
        ),
        "vae": AutoencoderKLQwenImage21(
            base_dim=4,
            decoder_base_dim=4,
            z_dim=channels,
            dim_mult=[1] * 5,
            num_res_blocks=1,
            temperal_downsample=[False, True, True, True],
            latents_mean=[0.0] * channels,
            latents_std=[1.0] * channels,
        ),
    }
