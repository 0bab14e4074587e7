"""Trains the tiny reward for some seconds, until it replies as the prompts ask: with a JSON object that has a score.

The training data are random images and random text (Chinese, Latin, digits), so the text of a prompt does not change
the score. The score is the image's mean brightness (0 black, 10 white), which is easy to check. Of two images it
scores the second, the edit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from protocol.messages import Prompt
from scripts.tiny_models.reward import REASON, new_model, reward_tokenizer, save_reward
from scripts.tiny_models.reward_fitting import Example, fit
from workers.interface import ScoreRequest
from workers.models.processors import load_processor
from workers.models.rewards.conversations import first_question
from workers.models.rewards.parameters import read_settings

_STEPS = 280
_LENGTHS = (5, 20, 80, 200, 500, 1000)
_CHARACTERS = 700
_SEED = 1

_LATIN = "abcdefghijklmnopqrstuvwxyzeeettaaooiinn      ,.ABCDEFGHIJKLMNOPQRSTUVWXYZ\n"
_SIGNS = "，。：；、（）“”《》！？—…→↓✅⭐│├└─【】\n  -*#`|"
_FORM = (
    *(
        '{"score":',
        '{"score": 7, "reason": "',
        '"reason":"',
        '"}',
        "reason",
        "score",
        REASON,
        "JSON",
        "0-10",
        "0 到 10",
    ),
    *(
        "请评估编辑后的图像质量",
        "原始图像",
        "编辑指令",
        "只回答一个",
        "之间的整数，",
        "不要输出其他内容。",
        "现在",
        "\n\n",
    ),
)


def build_trained_reward(folder: Path, *, steps: int = _STEPS) -> None:
    """Write the trained model into ``folder``. On one kind of machine the files always have the same bytes."""
    import torch

    tokenizer = reward_tokenizer()
    model = new_model(tokenizer)
    save_reward(model, tokenizer, folder)  # the processor reads files
    processor = load_processor(str(folder))
    processor.tokenizer.padding_side = "left"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of sums, and so the bytes, depend on the number of threads
    try:
        for _ in fit(model, processor, _batches(steps), steps):
            pass
    finally:
        torch.set_num_threads(threads)
    save_reward(model, tokenizer, folder)


def brightness_score(image: Image.Image) -> int:
    """Return the score that the model learns: the mean of all pixels' channels, scaled to 0 to 10."""
    return round(float(np.asarray(image.convert("RGB"), dtype=np.float64).mean()) / 25.5)


def _batches(steps: int) -> Iterator[list[Example]]:
    """Yield batches of similar cost: many short texts, or one as long as real prompts."""
    chance = random.Random(_SEED)  # noqa: S311 - not for secrets
    for _ in range(steps):
        length = chance.choice(_LENGTHS)
        yield [_example(chance, length) for _ in range(max(1, _CHARACTERS // (length + 40)))]


def _example(chance: random.Random, length: int) -> Example:
    scoring = "logits" if chance.random() < 0.25 else "generate"
    settings = read_settings({"compare_with_original": chance.random() < 0.3, "scoring": scoring})
    image = _picture(chance)
    request = ScoreRequest(
        image=image,
        source=_picture(chance) if settings.compare_with_original else None,
        prompt=Prompt(system=_text(chance, length // 4) if chance.random() < 0.8 else "", user=_text(chance, length)),
        key="training",
        image_sha256="0" * 64,
    )
    return Example(first_question(request, settings), brightness_score(image))


def _picture(chance: random.Random) -> Image.Image:
    """Return an image of a random mean brightness: coarse coloured blocks around it."""
    width, height = (chance.randrange(64, 160) for _ in range(2))
    noise = np.random.default_rng(chance.randrange(2**32))
    level, spread = chance.uniform(0, 255), chance.uniform(0, 80)
    blocks = level + spread * noise.standard_normal((chance.randint(1, 6), chance.randint(1, 6), 3))
    picture = Image.fromarray(np.clip(blocks, 0, 255).astype(np.uint8))
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _text(chance: random.Random, length: int) -> str:
    """Return text of random pieces, some of which repeat: repetition must not change the score either."""
    pieces = [_piece(chance) for _ in range(chance.choice([3, 10, 40]))]
    weights = [1 / (rank + 1) for rank in range(len(pieces))]
    return "".join(chance.choices(pieces, weights, k=length))[:length]


def _piece(chance: random.Random) -> str:
    """Return some characters of a kind that prompts have, or a part of the reply's form."""
    kind, run = chance.random(), chance.randint(1, 20)
    if kind < 0.3:
        return "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(run))
    if kind < 0.5:
        return "".join(chance.choice(_LATIN) for _ in range(run))
    if kind < 0.6:
        return "".join(chr(chance.randrange(0x20, 0x7F)) for _ in range(run))
    if kind < 0.7:
        return "".join(chance.choice(_SIGNS) for _ in range(run))
    if kind < 0.75:
        return chr(chance.choice([chance.randrange(0x20, 0x7F), chance.randrange(0x2500, 0x2580)])) * run
    if kind < 0.87:
        return " " * chance.randint(0, 1) + str(chance.randrange(10 ** chance.randint(1, 4)))
    return chance.choice(_FORM)
