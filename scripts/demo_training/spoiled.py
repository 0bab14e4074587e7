"""Targets that were spoiled to a known degree: what the judge learns from.

They are spoiled as edits of a half-trained editor are: mixed with other pictures, with noise in their latents, and
decoded by the editor's VAE. No edit of the editor is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from scripts.demo_training.examples import Example, resized
from scripts.demo_training.nearness import Pixels, nearness_of
from scripts.demo_training.vae import REDUCED, decode_reduced, encode_reduced, single_frames

# Half as large as edits: the judge sees even less.
_HALF = 2
_MOST_NOISE = 1.5
_SHARE = 0.7
"""Of the pictures that are mixed, and of those that get noise."""


@dataclass(frozen=True)
class Spoiled:
    """A picture of half an edit's size, the instruction of its pair, and its nearness to the target, from 0 to 10."""

    instruction: str
    picture: Image.Image
    nearness: float


@dataclass(frozen=True)
class _Pair:
    """Source and target: halved, and as small as the inner levels of the VAE take them."""

    instruction: str
    halves: tuple[Pixels, Pixels]
    small: tuple[Pixels, Pixels]


def spoiled_targets(vae: Any, examples: Sequence[Example], each: int, *, seed: int = 0) -> list[Spoiled]:
    """``each`` spoiled pictures of every example's target, in the examples' order."""
    chance = np.random.default_rng(seed)
    pairs = [_pair(example) for example in examples]
    return [one for pair in pairs for one in _spoiled(vae, pair, pairs, each, chance)]


def _pair(example: Example) -> _Pair:
    pictures = (resized(example.source, example.source.size), example.target)
    halves, small = ((_pixels(pictures[0].reduce(by)), _pixels(pictures[1].reduce(by))) for by in (_HALF, REDUCED))
    return _Pair(example.instruction, halves, small)


def _spoiled(vae: Any, pair: _Pair, pairs: Sequence[_Pair], each: int, chance: np.random.Generator) -> list[Spoiled]:
    _, target = pair.small
    mixed = []
    for _ in range(each):
        share = chance.random() if chance.random() < _SHARE else 0.0
        mixed.append(target + share * (_other(pair, pairs, chance) - target))
    noise = np.array([chance.uniform(0, _MOST_NOISE) if chance.random() < _SHARE else 0.0 for _ in range(each)])
    source, target = pair.halves
    found = []
    for pixels in _through(vae, np.stack(mixed), noise, chance):
        picture = _image(pixels).resize((target.shape[1], target.shape[0]), Image.Resampling.BILINEAR)
        found.append(Spoiled(pair.instruction, picture, nearness_of(_pixels(picture), source, target)))
    return found


def _through(vae: Any, pictures: Pixels, noise: Pixels, chance: np.random.Generator) -> Pixels:
    """The pictures encoded and decoded, with noise of these amounts added in between."""
    import torch

    with torch.no_grad(), single_frames(vae):
        latents = encode_reduced(vae, torch.from_numpy(pictures).float().permute(0, 3, 1, 2)[:, :, None] * 2 - 1)
        deviation = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
        amounts = torch.from_numpy(noise).float().view(-1, 1, 1, 1, 1)
        drawn = torch.from_numpy(chance.standard_normal(tuple(latents.shape), dtype=np.float32))
        decoded = decode_reduced(vae, latents + amounts * deviation * drawn).clamp(-1, 1)
    pixels: Pixels = ((decoded[:, :, 0].permute(0, 2, 3, 1) + 1) / 2).numpy()
    return pixels


def _other(pair: _Pair, pairs: Sequence[_Pair], chance: np.random.Generator) -> Pixels:
    """What a target is mixed with: its source, its own background, another scene, or one colour."""
    kind = chance.random()
    source, target = pair.small
    size = (target.shape[1], target.shape[0])
    if kind < 0.3:
        return source
    if kind < 0.7:
        columns, rows = (int(chance.integers(1, 7)) for _ in range(2))
        return _pixels(_image(target).resize((columns, rows), Image.Resampling.BOX).resize(size))
    if kind < 0.9:
        other = pairs[int(chance.integers(len(pairs)))].small[int(chance.integers(2))]
        return _pixels(_image(other).resize(size))
    colour: Pixels = np.broadcast_to(chance.random(3, dtype=np.float32), target.shape)
    return colour


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def _pixels(image: Image.Image) -> Pixels:
    pixels: Pixels = np.asarray(image, dtype=np.float32) / 255
    return pixels
