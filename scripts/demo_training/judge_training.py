"""Trains the tiny judge to tell how near an edit is to its target, which it is not shown."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from protocol.messages import Prompt
from scripts.demo_training.spoiled import Spoiled
from scripts.tiny_models.reward import new_model, reward_tokenizer, save_reward
from scripts.tiny_models.reward_fitting import Example as Judgement
from scripts.tiny_models.reward_fitting import fit
from workers.interface import ScoreRequest
from workers.models.processors import load_processor
from workers.models.rewards.conversations import first_question
from workers.models.rewards.parameters import read_settings

MAX_PIXELS = 128 * 128
QUESTION = "编辑后的图像与目标有多接近？"
REASON = "与目标的接近程度"
_BATCH = 12
_SEED = 3


def training(folder: Path, pictures: Sequence[Spoiled], steps: int) -> Iterator[float]:
    """Train for ``steps`` steps; yield each step's loss; write the judge into ``folder`` at the end."""
    tokenizer = reward_tokenizer([QUESTION, REASON, *dict.fromkeys(picture.instruction for picture in pictures)])
    model = new_model(tokenizer)
    save_reward(model, tokenizer, folder)  # the processor reads files
    processor = load_processor(str(folder), max_pixels=MAX_PIXELS)
    processor.tokenizer.padding_side = "left"
    yield from fit(model, processor, _batches([judgement(picture) for picture in pictures], steps), steps)
    save_reward(model, tokenizer, folder)


def judgement(picture: Spoiled) -> Judgement:
    """What the judge is asked about a picture, and what it is to reply."""
    request = ScoreRequest(
        image=picture.picture,
        source=None,
        prompt=Prompt(system=picture.instruction, user=QUESTION),
        key="training",
        image_sha256="0" * 64,
    )
    return Judgement(first_question(request, read_settings({"scoring": "generate"})), round(picture.nearness), REASON)


def _batches(judgements: Sequence[Judgement], steps: int) -> Iterator[list[Judgement]]:
    chance = random.Random(_SEED)  # noqa: S311 - not for secrets
    for _ in range(steps):
        yield [chance.choice(judgements) for _ in range(_BATCH)]
