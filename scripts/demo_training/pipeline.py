"""The tiny pipeline that is trained, and the folders into which it is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.demo_training.starting_weights import prepare_transformer
from scripts.demo_training.vae import CHANNELS
from scripts.tiny_models.editor import HIDDEN, save_processor, scheduler, text_encoder, write_index
from scripts.tiny_models.tokenizer import save_tokenizer
from scripts.tiny_models.weights import fill_weights

_WIDTH, _HEADS, _LAYERS = 128, 4, 1
_AXES = (8, 12, 12)
_PATCH = 2
_MERGES = 2048
_SEED = 0


def save_parts(folder: Path, instructions: Sequence[str]) -> None:
    """Write what is not trained: tokenizer, processor, scheduler, text encoder. Of the encoder's random embeddings the
    transformer learns to tell the instructions apart; the tokenizer has tokens for their words.
    """
    tokenizer = save_tokenizer(folder / "tokenizer", instructions, merges=_MERGES)
    save_processor(folder / "processor", tokenizer)
    scheduler().save_pretrained(folder / "scheduler")
    fill_weights(text_encoder(tokenizer), _SEED).save_pretrained(folder / "text_encoder")


def new_pipeline(parts: Path, vae: Any) -> Any:
    """A ``QwenImageEditPipeline`` in float32 with the parts in that folder, this VAE and a new transformer."""
    from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageEditPipeline
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

    from workers.models.editors.pipeline_loading import pass_image_positions
    from workers.models.processors import load_processor

    encoder = Qwen2_5_VLForConditionalGeneration.from_pretrained(parts / "text_encoder").eval()
    pass_image_positions(encoder)
    return QwenImageEditPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(parts / "scheduler"),
        vae=vae,
        text_encoder=encoder,
        tokenizer=Qwen2Tokenizer.from_pretrained(parts / "tokenizer"),
        processor=load_processor(str(parts), subfolder="processor"),
        transformer=new_transformer(),
    )


def save_checkpoint(pipeline: Any, parts: Path, folder: Path) -> None:
    """Write the pipeline into ``folder``, as trainers do: one component after the other, right where it belongs. The
    largest one and the index come last.
    """
    import shutil

    for part in ("tokenizer", "processor", "scheduler", "text_encoder"):
        shutil.copytree(parts / part, folder / part, dirs_exist_ok=True)
    pipeline.vae.save_pretrained(folder / "vae")
    pipeline.transformer.save_pretrained(folder / "transformer")
    write_index(folder, "QwenImageEditPipeline")


def new_transformer() -> Any:
    """A transformer whose random weights suit a short training."""
    import torch
    from diffusers import QwenImageTransformer2DModel

    values = _PATCH**2 * CHANNELS
    transformer = QwenImageTransformer2DModel(
        patch_size=_PATCH,
        in_channels=values,
        out_channels=CHANNELS,
        num_layers=_LAYERS,
        attention_head_dim=_WIDTH // _HEADS,
        num_attention_heads=_HEADS,
        joint_attention_dim=HIDDEN,
        axes_dims_rope=_AXES,
    )
    fill_weights(transformer, _SEED)
    with torch.no_grad():
        prepare_transformer(transformer, _AXES)
    return transformer
