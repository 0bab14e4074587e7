"""Estimates what a judge's server will be asked: how many requests, and how many tokens.

Requests are counted, but for those that are made again. Tokens are estimated: those of texts by their characters, those
of images by the rule that OpenAI publishes for gpt-4o and gpt-4.1 (an image is fitted into 2048 x 2048 pixels, then its
shorter side is reduced to 768; each tile of 512 pixels counts). Other models count otherwise. An edit is taken to be as
large as its source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from msgspec import Struct

from protocol import messages as m
from scheduler.base.text import counted
from scheduler.benchmark import Pair
from scheduler.benchmark.units import Units
from scheduler.stages.judging import Judging

CHARACTERS_PER_TOKEN = 4
_BASE_TOKENS, _TILE_TOKENS, _TILE = 85, 170, 512
_FITTED, _SHORTER_SIDE = 2048, 768

Size = tuple[int, int]


class RequestEstimate(Struct, frozen=True):
    """``reply_tokens`` is the limit of each reply, None if it has none."""

    requests: int
    text_tokens: int
    image_tokens: int
    reply_tokens: int | None

    def __str__(self) -> str:
        prompts = f"about {rough_count(self.text_tokens + self.image_tokens)} tokens in prompts"
        rule = f"{CHARACTERS_PER_TOKEN} characters a token, images by OpenAI's tiles of {_TILE} pixels"
        replies = f"; replies of at most {self.reply_tokens:,} tokens each" if self.reply_tokens else ""
        return f"{counted(self.requests, 'request')}, {prompts} (an estimate: {rule}){replies}"


def estimate_requests(
    judging: Judging, edits: Units, pairs: Mapping[str, Pair], *, longest_side: int | None, reply_tokens: int | None
) -> RequestEstimate:
    """Return the estimate for all judgements of these edits. ``longest_side``: larger images are reduced to it, unless
    a question says itself how its images are shown.
    """
    requests = text = image = 0
    for edit in edits:
        pair = pairs[edit.key]
        sizes = {"edit": pair.source.size, **{name: each.size for name, each in pair.images.items()}}
        for unit in judging.units(edit):
            for texts, shown in _requests(judging.item(unit), sizes, longest_side):
                requests += 1
                text += -(-texts // CHARACTERS_PER_TOKEN)
                image += shown
    return RequestEstimate(requests, text, image, reply_tokens)


def _requests(item: m.ScoreItem, sizes: Mapping[str, Size], longest_side: int | None) -> Iterator[tuple[int, int]]:
    """Yield of each request the characters and the tokens of its images."""
    if item.question is not None:
        question = item.question
        texts = sum(len(part.text) for part in question.parts if isinstance(part, m.TextPart))
        images = [part for part in question.parts if isinstance(part, m.ImagePart)]
        yield len(question.system) + texts, sum(_of_part(part, sizes) for part in images)
        return
    for prompt in item.prompts:
        shown = (_reduced(sizes[name], longest_side) for name in item.images)
        yield len(prompt.system) + len(prompt.user), sum(map(image_tokens, shown))


def _of_part(part: m.ImagePart, sizes: Mapping[str, Size]) -> int:
    if part.detail == "low":
        return _BASE_TOKENS
    size = sizes[part.step.size_of or part.image]
    return image_tokens(_reduced(size, part.step.longest_side))


def _reduced(size: Size, longest_side: int | None) -> Size:
    share = min(1.0, longest_side / max(size)) if longest_side else 1.0
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def image_tokens(size: Size) -> int:
    """Return the tokens of an image of this size, in pixels."""
    width, height = _reduced(size, _FITTED)
    share = min(1.0, _SHORTER_SIDE / min(width, height))
    tiles = math.ceil(width * share / _TILE) * math.ceil(height * share / _TILE)
    return _BASE_TOKENS + _TILE_TOKENS * tiles


def rough_count(number: int) -> str:
    """Return ``640``, ``12 thousand`` or ``3.1 million``."""
    if number >= 999_500:
        return f"{number / 1e6:.1f} million"
    return f"{number / 1e3:.0f} thousand" if number >= 10_000 else str(number)
