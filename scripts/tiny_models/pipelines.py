"""Builds tiny editing pipelines of diffusers: the real classes, a few thousand random weights each, no download.

An edit takes a second or less on one CPU core.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scripts.tiny_models.editor import build_editor
from scripts.tiny_models.tokenizer import build_tokenizer
from scripts.tiny_models.weights import fill_weights

_HIDDEN = 32
_LATENT_CHANNELS = 4


def build_pipeline(name: str, folder: Path, *, seed: int = 0) -> None:
    """Write a checkpoint of the pipeline class ``name`` into ``folder``."""
    import diffusers

    if name in _QWEN:
        build_editor(folder, seed=seed, pipeline=name)
        return
    if name == _LONGCAT:
        _build_longcat(folder, seed)
        return
    components = BUILDERS[name]()
    for component in components.values():
        if hasattr(component, "parameters"):
            fill_weights(component, seed)
    getattr(diffusers, name)(**components).save_pretrained(folder)


def _instruct_pix2pix() -> dict[str, Any]:
    from diffusers import DDIMScheduler

    return {
        "vae": _vae(),
        "unet": _unet(),
        "scheduler": DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear"),
        "text_encoder": _clip_text_encoder(),
        "tokenizer": _clip_tokenizer(),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }


def _instruct_pix2pix_xl() -> dict[str, Any]:
    from diffusers import DDIMScheduler

    return {
        "vae": _vae(),
        "unet": _unet(
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=8 * 6 + _HIDDEN,
            cross_attention_dim=2 * _HIDDEN,
        ),
        "scheduler": DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear"),
        "text_encoder": _clip_text_encoder(),
        "text_encoder_2": _clip_text_encoder(projected=True),
        "tokenizer": _clip_tokenizer(),
        "tokenizer_2": _clip_tokenizer(),
    }


def _flux_kontext() -> dict[str, Any]:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    tokenizer = _unigram_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=_HIDDEN,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(),
        "text_encoder": _clip_text_encoder(),
        "text_encoder_2": T5EncoderModel(config),
        "tokenizer": _clip_tokenizer(),
        "tokenizer_2": tokenizer,
        "transformer": FluxTransformer2DModel(
            patch_size=1,
            in_channels=4 * _LATENT_CHANNELS,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=_HIDDEN,
            pooled_projection_dim=_HIDDEN,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        "vae": _vae(shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False),
        "image_encoder": None,
        "feature_extractor": None,
    }


def _flux2_klein(*, distilled: bool = False) -> dict[str, Any]:
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = build_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": Qwen3ForCausalLM(config),
        "tokenizer": tokenizer,
        "transformer": Flux2Transformer2DModel(
            patch_size=1,
            in_channels=4 * _LATENT_CHANNELS,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * 16,
            timestep_guidance_channels=256,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        "vae": AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4, 4, 4, 4),
            layers_per_block=1,
            latent_channels=_LATENT_CHANNELS,
            norm_num_groups=1,
        ),
        "is_distilled": distilled,
    }


def _build_longcat(folder: Path, seed: int) -> None:
    """Its text encoder, tokenizer and processor are of the classes of Qwen-Image-Edit's."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LongCatImageTransformer2DModel

    latent_channels = 16  # as the pipeline expects
    build_editor(folder, seed=seed)
    (folder / "processor").rename(folder / "text_processor")
    for name in ("scheduler", "transformer", "vae"):
        shutil.rmtree(folder / name)
    FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).save_pretrained(folder / "scheduler")
    transformer = LongCatImageTransformer2DModel(
        in_channels=4 * latent_channels,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=1,
        joint_attention_dim=_HIDDEN,
        pooled_projection_dim=_HIDDEN,
        axes_dims_rope=[4, 4, 8],
    )
    fill_weights(transformer, seed).save_pretrained(folder / "transformer")
    fill_weights(_vae(latent_channels, shift_factor=0.1), seed).save_pretrained(folder / "vae")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index |= {"_class_name": _LONGCAT, "text_processor": index.pop("processor"), "vae": ["diffusers", "AutoencoderKL"]}
    index["transformer"] = ["diffusers", "LongCatImageTransformer2DModel"]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")


def _unet(**settings: Any) -> Any:
    from diffusers import UNet2DConditionModel

    usual = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "sample_size": 8,
        "in_channels": 2 * _LATENT_CHANNELS,
        "out_channels": _LATENT_CHANNELS,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": _HIDDEN,
        "attention_head_dim": 4,
        "norm_num_groups": 2,
    }
    return UNet2DConditionModel(**{**usual, **settings})


def _vae(latent_channels: int = _LATENT_CHANNELS, **settings: Any) -> Any:
    """Of a few channels; it downsamples by 8, as those of the real pipelines."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=latent_channels,
        layers_per_block=1,
        norm_num_groups=1,
        **settings,
    )


def _clip_text_encoder(*, projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = _clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=37,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=_HIDDEN,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def _clip_tokenizer() -> Any:
    """The class of CLIP's tokenizer with a vocabulary of bytes."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77)


def _unigram_tokenizer() -> Any:
    """The class of T5's tokenizer with a vocabulary of letters."""
    from transformers import T5TokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -4.0) for letter in letters)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)


BUILDERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "FluxKontextPipeline": _flux_kontext,
    "Flux2KleinKVPipeline": partial(_flux2_klein, distilled=True),
    "Flux2KleinPipeline": _flux2_klein,
    "StableDiffusionInstructPix2PixPipeline": _instruct_pix2pix,
    "StableDiffusionXLInstructPix2PixPipeline": _instruct_pix2pix_xl,
}
"""The components of each class that can be built."""

_QWEN = ("QwenImageEditPipeline", "QwenImageEditPlusPipeline")
_LONGCAT = "LongCatImageEditPipeline"
CLASSES = (*BUILDERS, *_QWEN, _LONGCAT)
"""The classes that ``build_pipeline`` can build."""
