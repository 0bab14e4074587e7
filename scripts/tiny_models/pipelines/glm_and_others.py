"""The components of GLM-Image, ChronoEdit, Z-Image-Omni, OmniGen and Bria FIBO Edit."""

from __future__ import annotations

from typing import Any

from scripts.tiny_models.pipelines.parts import HIDDEN, LATENT_CHANNELS, t5_encoder, unigram_tokenizer, vae, wan_vae
from scripts.tiny_models.tokenizer import build_tokenizer

_BEGIN_OF_TEXT = 128_000
"""The token that Bria's pipeline uses for an empty text, whatever the tokenizer."""
_CHAT_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def bria() -> dict[str, Any]:
    """Bria FIBO Edit. Nearly all of its weights are the embeddings of 128,001 tokens."""
    from diffusers import BriaFiboTransformer2DModel, FlowMatchEulerDiscreteScheduler
    from transformers import SmolLM3Config, SmolLM3ForCausalLM

    text = 4
    config = SmolLM3Config(
        vocab_size=_BEGIN_OF_TEXT + 1,
        hidden_size=text,
        intermediate_size=2 * text,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=_BEGIN_OF_TEXT,
        eos_token_id=_BEGIN_OF_TEXT,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": SmolLM3ForCausalLM(config),
        "tokenizer": build_tokenizer(),
        "transformer": BriaFiboTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=2 * text,
            text_encoder_dim=text,
            axes_dims_rope=[0, 4, 4],
        ),
        "vae": wan_vae(16, patch=2),
    }


def chrono_edit() -> dict[str, Any]:
    """ChronoEdit: an edit is the last of five frames."""
    from diffusers import ChronoEditTransformer3DModel, FlowMatchEulerDiscreteScheduler
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    tokenizer = unigram_tokenizer()
    vision = 16
    config = CLIPVisionConfig(
        hidden_size=vision,
        intermediate_size=vision,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
        "text_encoder": t5_encoder(len(tokenizer), "UMT5"),
        "tokenizer": tokenizer,
        "image_encoder": CLIPVisionModel(config),
        "image_processor": CLIPImageProcessorPil(crop_size=32, size=32),
        "transformer": ChronoEditTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=16 + 16 + 4,  # the latents, those of the source, and which frames are given
            out_channels=16,
            text_dim=HIDDEN,
            freq_dim=32,
            ffn_dim=32,
            num_layers=1,
            image_dim=vision,
            rope_max_seq_len=32,
        ),
        "vae": wan_vae(8, frames=4),
    }


def z_image_omni() -> dict[str, Any]:
    """Z-Image-Omni."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model, Siglip2ImageProcessorPil, Siglip2VisionConfig, Siglip2VisionModel

    tokenizer = build_tokenizer()
    text, vision = 16, 16
    encoder = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=text,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    siglip = Siglip2VisionConfig(
        hidden_size=vision,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_patches=16,
        patch_size=16,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": Qwen3Model(encoder),
        "tokenizer": tokenizer,
        "siglip": Siglip2VisionModel(siglip),
        "siglip_processor": Siglip2ImageProcessorPil(patch_size=16, max_num_patches=16),
        "transformer": ZImageTransformer2DModel(
            in_channels=LATENT_CHANNELS,
            dim=HIDDEN,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=text,
            siglip_feat_dim=vision,
            axes_dims=[8, 4, 4],
            axes_lens=[1024, 64, 64],
        ),
        "vae": vae(shift_factor=0.1),
    }


def omnigen() -> dict[str, Any]:
    """OmniGen, whose transformer reads the instruction itself."""
    from diffusers import FlowMatchEulerDiscreteScheduler, OmniGenTransformer2DModel

    tokenizer, heads = build_tokenizer(), 2
    factors = [1.0] * (HIDDEN // heads // 2)
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(invert_sigmas=True, num_train_timesteps=1),
        "tokenizer": tokenizer,
        "transformer": OmniGenTransformer2DModel(
            in_channels=LATENT_CHANNELS,
            hidden_size=HIDDEN,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            intermediate_size=2 * HIDDEN,
            num_layers=1,
            pad_token_id=tokenizer.pad_token_id,
            vocab_size=len(tokenizer),
            rope_scaling={"short_factor": factors, "long_factor": factors},
            pos_embed_max_size=64,
            time_step_dim=16,
        ),
        "vae": vae(),
    }


def glm_image() -> dict[str, Any]:
    """GLM-Image: a language model writes the image as tokens, from which a transformer makes pixels."""
    from diffusers import FlowMatchEulerDiscreteScheduler, GlmImageTransformer2DModel
    from transformers import ByT5Tokenizer, GlmImageConfig, GlmImageForConditionalGeneration

    codes = 64
    processor = _glm_processor()
    tokenizer = processor.tokenizer
    text = ByT5Tokenizer()
    config = GlmImageConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "vision_vocab_size": codes,
            "eos_token_id": codes,  # never written: all of an image's tokens are
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 1,
            "hidden_size": HIDDEN,
            "num_heads": 2,
            "image_size": 64,
            "patch_size": 16,
            "intermediate_size": 32,
        },
        vq_config={"embed_dim": HIDDEN, "num_embeddings": codes, "latent_channels": HIDDEN},
        image_token_id=processor.image_token_id,
        image_start_token_id=codes + 1,
        image_end_token_id=codes,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": t5_encoder(len(text)),
        "tokenizer": text,
        "processor": processor,
        "vision_language_encoder": GlmImageForConditionalGeneration(config),
        "transformer": GlmImageTransformer2DModel(
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            text_embed_dim=HIDDEN,
            time_embed_dim=16,
            condition_dim=8,
            prior_vq_quantizer_codebook_size=codes,
        ),
        "vae": vae(latents_mean=[0.0] * LATENT_CHANNELS, latents_std=[1.0] * LATENT_CHANNELS),
    }


def _glm_processor() -> Any:
    from transformers import GlmImageImageProcessorPil, GlmImageProcessor, PreTrainedTokenizerFast

    named = {"image_token": "<|image|>", "grid_bos_token": "<|grid|>", "grid_eos_token": "<|/grid|>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer().backend_tokenizer,
        bos_token="<|write|>",  # noqa: S106 - a token of text
        pad_token="<|endoftext|>",  # noqa: S106
        model_specific_special_tokens=named,
    )
    images = GlmImageImageProcessorPil(
        patch_size=16, merge_size=1, temporal_patch_size=1, size={"shortest_edge": 32 * 32, "longest_edge": 512 * 512}
    )
    return GlmImageProcessor(images, tokenizer, chat_template=_CHAT_TEMPLATE)
