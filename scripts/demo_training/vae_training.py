"""Trains the inner levels of the tiny VAE on the drawings, reduced to an eighth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from scripts.demo_training.examples import as_tensor
from scripts.demo_training.learning_rate import schedule
from scripts.demo_training.vae import REDUCED, decode_reduced, encode_reduced, inner_parameters, single_frames

_LEARNING_RATE = 4e-3
# Of the latents' deviation: the decoder must not be upset by the transformer's small errors.
_NOISE = 0.05


def training(vae: Any, pictures: Sequence[Image.Image], steps: int, *, seed: int = 0) -> Iterator[float]:
    """Train for ``steps`` steps, each on all pictures of one shape; yield each step's loss (mean squared error)."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    batches = _batches(pictures)
    parameters = inner_parameters(vae)
    optimizer = torch.optim.Adam(parameters, lr=_LEARNING_RATE, betas=(0.9, 0.98))
    rate = schedule(optimizer, steps)
    order: list[int] = []
    for _ in range(steps):
        order = order or torch.randperm(len(batches), generator=chance).tolist()
        batch = batches[order.pop()]
        with single_frames(vae):
            latents = encode_reduced(vae, batch)
            noise = torch.randn(latents.shape, generator=chance)
            seen = latents + _NOISE * latents.std().detach() * noise
            loss = (decode_reduced(vae, seen) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rate.step()
        yield float(loss.detach())


def normalize_latents(vae: Any, pictures: Sequence[Image.Image]) -> None:
    """Set the mean and deviation of each latent channel, with which the pipeline normalizes latents."""
    import torch

    with torch.no_grad(), single_frames(vae):
        values = torch.cat([encode_reduced(vae, batch).transpose(0, 1).flatten(1) for batch in _batches(pictures)], 1)
    mean, deviation = values.mean(dim=1).tolist(), values.std(dim=1).tolist()
    vae.register_to_config(latents_mean=mean, latents_std=deviation)


def _batches(pictures: Sequence[Image.Image]) -> list[Any]:
    """The pictures, reduced, as one tensor for each shape."""
    import torch

    shapes: dict[tuple[int, int], list[Any]] = {}
    for picture in pictures:
        small = picture.resize((picture.width // REDUCED, picture.height // REDUCED), Image.Resampling.BOX)
        shapes.setdefault(small.size, []).append(as_tensor(small))
    return [torch.cat(same) for same in shapes.values()]
