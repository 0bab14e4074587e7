"""Trains the transformer of the tiny pipeline by flow matching, as Qwen-Image-Edit is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.demo_training.examples import Example, as_tensor
from scripts.demo_training.learning_rate import schedule

_LEARNING_RATE = 3e-3
_DRAWS = 2
# An edit begins with pure noise, where the whole picture has to come from the instruction: the hardest part.
_PURE_NOISE = 0.7
_LEAST_NOISE = 0.02


@dataclass(frozen=True)
class Lesson:
    """What the transformer is given for one example, and its target. Latents are packed into patches."""

    target: Any
    source: Any
    prompt: Any
    prompt_mask: Any
    shapes: list[list[tuple[int, int, int]]]


def prepare(pipeline: Any, example: Example) -> Lesson:
    """The inputs of the transformer, made as the pipeline makes them for an edit of the target's size."""
    import torch
    from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit import calculate_dimensions

    source, (width, height) = example.source, example.target.size
    full_width, full_height, _ = calculate_dimensions(1024 * 1024, source.width / source.height)
    with torch.no_grad():
        image = pipeline.image_processor.resize(source, full_height, full_width)
        prompt, mask = pipeline.encode_prompt(image=image, prompt=example.instruction, device=torch.device("cpu"))
        pixels = pipeline.image_processor.preprocess(image, full_height, full_width).unsqueeze(2)
        generator = torch.Generator()
        channels = pipeline.vae.config.z_dim
        size = (1, channels, height, width, torch.float32, torch.device("cpu"), generator)
        _, packed_source = pipeline.prepare_latents(pixels, *size)
        latents = pipeline._encode_vae_image(as_tensor(example.target), generator)
        target = pipeline._pack_latents(latents, 1, channels, *latents.shape[3:])
    factor = 2 * pipeline.vae_scale_factor
    sizes = ((height, width), (full_height, full_width))
    return Lesson(target, packed_source, prompt, mask, [[(1, high // factor, wide // factor) for high, wide in sizes]])


def training(transformer: Any, lessons: Sequence[Lesson], steps: int, *, seed: int = 0) -> Iterator[float]:
    """Train for ``steps`` steps, one lesson each; yield each step's loss. The same seed gives the same weights."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(transformer.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0)
    rate = schedule(optimizer, steps)
    order: list[int] = []
    transformer.train()
    for _ in range(steps):
        order = order or torch.randperm(len(lessons), generator=chance).tolist()
        loss = _loss(transformer, lessons[order.pop()], chance)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(transformer.parameters(), 1.0)
        optimizer.step()
        rate.step()
        yield float(loss.detach())
    transformer.eval()


def _loss(transformer: Any, lesson: Lesson, chance: Any) -> Any:
    """The squared error of the velocity, from noise to target, at some noise levels of the same target."""
    import torch

    target = lesson.target.expand(_DRAWS, -1, -1)
    noise = torch.randn(target.shape, generator=chance)
    pure = torch.rand(_DRAWS, generator=chance) < _PURE_NOISE
    level = torch.rand(_DRAWS, generator=chance).clamp(min=_LEAST_NOISE).masked_fill(pure, 1.0)
    mixed = torch.lerp(target, noise, level[:, None, None])
    velocity = transformer(
        hidden_states=torch.cat([mixed, lesson.source.expand(_DRAWS, -1, -1)], dim=1),
        timestep=level,
        encoder_hidden_states=lesson.prompt.expand(_DRAWS, -1, -1),
        encoder_hidden_states_mask=None if lesson.prompt_mask is None else lesson.prompt_mask.expand(_DRAWS, -1),
        img_shapes=lesson.shapes * _DRAWS,
        return_dict=False,
    )[0][:, : target.shape[1]]
    return (velocity - (noise - target)).square().mean()
