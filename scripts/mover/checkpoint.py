"""Checkpoints with random weights: an editor with a wide transformer, and a reward with experts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from scripts.full_size.architectures import Architecture, architecture
from scripts.full_size.build import build_editor, build_reward

_SHARD_BYTES = 1024**3


@dataclass(frozen=True)
class Size:
    """The published transformer has 60 layers of 24 heads: 0.68 GB per layer."""

    layers: int
    heads: int


def editor_checkpoint(folder: Path, size: Size) -> Path:
    """Build the editor, unless it is there. Text encoder (with tied weights) and VAE are tiny."""
    path = folder / f"editor-{size.layers}-{size.heads}"
    build_editor(path, _parts(size), "cpu", lambda: None)
    return path


def reward_checkpoint(folder: Path, size: Size) -> Path:
    """Build the reward, unless it is there: one layer, with as many experts as the published one has per 24 heads."""
    path = folder / f"reward-{size.layers}-{size.heads}"
    build_reward(path, _parts(size), "cpu", lambda: None)
    return path


def tiny_checkpoint(folder: Path) -> Path:
    """A small editor, to be damaged."""
    return editor_checkpoint(folder, Size(layers=1, heads=1))


def _parts(size: Size) -> Architecture:
    tiny, full = architecture("tiny", None), architecture("full", size.layers)
    text = {**full.reward["text_config"], "vocab_size": tiny.reward["text_config"]["vocab_size"]}
    reward_text = {**text, "num_hidden_layers": 1, "num_experts": 128 * size.heads // 24}
    vision = {**tiny.reward["vision_config"], "out_hidden_size": text["hidden_size"]}
    return replace(
        tiny,
        transformer={**full.transformer, "num_attention_heads": size.heads, "joint_attention_dim": 32},
        text_encoder={**tiny.text_encoder, "tie_word_embeddings": True},
        reward={**full.reward, "text_config": reward_text, "vision_config": vision},
        shard_bytes=_SHARD_BYTES,
    )
