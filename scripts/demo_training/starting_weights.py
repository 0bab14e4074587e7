"""Where the training of the tiny transformer starts: with weights from which it learns in a minute.

A transformer learns slowly where in a picture a patch lies, because only the rotary positions in attention tell it, and
it learns slowly to pass on noise. Here it starts with both. What the edits look like it learns by training alone.
"""

from __future__ import annotations

import math
from typing import Any

_SPREAD = 0.5
_SHARPNESS = 1.5
# A patch in row r reads the word of the prompt at position r + _OFFSET: about the middle of the instruction.
_OFFSET = 22
_THETA = 10000
# How small noise becomes, so that it does not drown what the layers add.
_NOISE = 0.3


def prepare_transformer(transformer: Any, axes: tuple[int, int, int]) -> None:
    """Set the weights with which training starts, of a transformer with random ones, in place.

    Args:
        transformer: a ``QwenImageTransformer2DModel``.
        axes: the dimensions of a head that its rotary embedding turns by frame, row and column.
    """
    for block in transformer.transformer_blocks:
        for modulation in (block.img_mod[1], block.txt_mod[1]):
            _open_gates(modulation)
        _attend_by_position(block.attn, axes)
    transformer.norm_out.linear.weight.zero_()
    _pass_noise_on(transformer)


def _open_gates(modulation: Any) -> None:
    """At every noise level: no shift, no scale, and both branches of the block are added."""
    modulation.weight.zero_()
    modulation.bias.zero_()
    shares = modulation.bias.chunk(6)
    shares[2].fill_(1)
    shares[5].fill_(1)


def _attend_by_position(attention: Any, axes: tuple[int, int, int]) -> None:
    """Let a patch read the prompt by its place: the first head by its row, the second by its column, others mixed."""
    import torch

    generator = torch.Generator().manual_seed(0)
    for layer in (attention.to_q, attention.to_k, attention.add_q_proj, attention.add_k_proj):
        layer.weight.mul_(_SPREAD)
        layer.bias.copy_(_SPREAD * torch.randn(layer.bias.shape, generator=generator))
    size = sum(axes)
    for head, axis in ((0, 1), (1, 2)):
        rows = slice(head * size, (head + 1) * size)
        for layer in (attention.to_q, attention.to_k, attention.add_k_proj):
            layer.weight[rows] *= 0.1
            layer.bias[rows] = 0
        first = head * size + sum(axes[:axis])
        _read_word(attention, first, axes[axis])
    attention.norm_q.weight.fill_(_SHARPNESS)
    attention.norm_added_k.weight.fill_(_SHARPNESS)


def _read_word(attention: Any, first: int, dimensions: int) -> None:
    """Turn queries of patches and keys of words so that they agree at a distance of ``_OFFSET``.

    The two fastest turns of the axis find the word; the slowest one, nearly constant, tells words from patches.
    """
    slowest = dimensions // 2 - 1
    for turn in (0, 1, slowest):
        angle = _OFFSET * _THETA ** (-2 * turn / dimensions)
        at = first + 2 * turn
        attention.to_q.bias[at] = 1
        attention.add_k_proj.bias[at] = math.cos(angle)
        attention.add_k_proj.bias[at + 1] = -math.sin(angle)
    attention.to_k.bias[first + 2 * slowest] = -1


def _pass_noise_on(transformer: Any) -> None:
    """Return the input: of pure noise, it is the noise in it. It has dimensions of its own, to which no layer adds."""
    import torch

    own = torch.linalg.qr(transformer.img_in.weight)[0]
    transformer.img_in.weight.copy_(_NOISE * own)
    transformer.proj_out.weight.copy_(own.T / _NOISE)
    for block in transformer.transformer_blocks:
        for layer in (block.attn.to_out[0], block.img_mlp.net[2]):
            layer.weight.sub_(own @ (own.T @ layer.weight))
