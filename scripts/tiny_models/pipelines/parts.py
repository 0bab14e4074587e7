"""Components that several tiny pipelines have: the real classes, with a few thousand random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.tiny_models.reward import MERGE, PATCH, image_settings

HIDDEN = 32
LATENT_CHANNELS = 4


@dataclass(frozen=True)
class Processor:
    """The files of a processor with this tokenizer, in the form that the hub has.

    Without torchvision transformers builds none of these classes, so their files are written directly.
    """

    name: str
    tokenizer: Any
    images: Mapping[str, Any]
    """The settings of the part for images."""

    def save_pretrained(self, folder: Path) -> None:
        """Write the files."""
        self.tokenizer.save_pretrained(folder)
        text = json.dumps({"processor_class": self.name, **self.images}, indent=2) + "\n"
        (Path(folder) / "preprocessor_config.json").write_text(text, encoding="utf-8")


def qwen_processor(name: str, tokenizer: Any, *, patch: int = PATCH, largest: int = 96) -> Processor:
    """The processor of a Qwen VL model. Images with sides above ``largest`` pixels are made smaller."""
    return Processor(name, tokenizer, image_settings(patch, (patch * MERGE) ** 2, largest**2))


def qwen3_vl(tokenizer: Any) -> Any:
    """The text encoder of several pipelines, which sees the source image too."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    names = {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    names |= {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 1,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
    )
    return Qwen3VLForConditionalGeneration(config)


def vae(latent_channels: int = LATENT_CHANNELS, *, downsampling: int = 8, **settings: Any) -> Any:
    """Of a few channels; it downsamples by 8, as those of the real pipelines, unless another power of two is given."""
    from diffusers import AutoencoderKL

    blocks = downsampling.bit_length()
    usual = {
        "block_out_channels": (4,) * blocks,
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ("DownEncoderBlock2D",) * blocks,
        "up_block_types": ("UpDecoderBlock2D",) * blocks,
        "latent_channels": latent_channels,
        "layers_per_block": 1,
        "norm_num_groups": 1,
    }
    return AutoencoderKL(**{**usual, **settings})


def megapixel_vae(latent_channels: int = LATENT_CHANNELS, *, downsampling: int = 8, **settings: Any) -> Any:
    """For pipelines that work on about one megapixel: two channels, and no attention."""
    channels = (2,) * downsampling.bit_length()
    settings |= {"block_out_channels": channels, "mid_block_add_attention": False}
    return vae(latent_channels, downsampling=downsampling, **settings)


def wan_vae(downsampling: int = 8, *, patch: int | None = None, frames: int = 1) -> Any:
    """The VAE of a video model. ``patch``: pixels beside each other are channels, which is fast on large images.

    Args:
        downsampling: pixels per side of a latent, patch included; a power of two.
        patch: a power of two.
        frames: how many frames become one latent: 1, 2 or 4.
    """
    from diffusers import AutoencoderKLWan

    steps = (downsampling // (patch or 1)).bit_length() - 1
    in_time = frames.bit_length() - 1
    channels = 3 * (patch or 1) ** 2
    return AutoencoderKLWan(
        base_dim=4,
        z_dim=16,  # as the defaults of the latents' mean and deviation
        dim_mult=[1] * (steps + 1),
        num_res_blocks=1,
        temperal_downsample=[index >= steps - in_time for index in range(steps)],
        in_channels=channels,
        out_channels=channels,
        patch_size=patch,
        scale_factor_spatial=downsampling,
        scale_factor_temporal=frames,
    )


def clip_text_encoder(*, projected: bool = False) -> Any:
    """With or without the projection that SDXL's second encoder has."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=37,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=HIDDEN,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def clip_tokenizer() -> Any:
    """The class of CLIP's tokenizer with a vocabulary of bytes."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77)


def unigram_tokenizer() -> Any:
    """The class of T5's tokenizer with a vocabulary of letters."""
    from transformers import T5TokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -4.0) for letter in letters)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)


def t5_encoder(vocabulary: int, kind: str = "T5") -> Any:
    """The text encoder of the class ``T5EncoderModel`` or, for ``UMT5``, of that one's."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary,
        d_model=HIDDEN,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return getattr(transformers, f"{kind}EncoderModel")(config)
