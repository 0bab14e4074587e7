"""From the answer of the model to a judgement: a score and how it was read, or the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable

from protocol.messages import Judgement, Prompt
from workers.models.rewards.batching import RowFailure
from workers.models.rewards.generation import ModelReply
from workers.models.rewards.logits import NumberScore
from workers.models.rewards.parameters import RewardSettings
from workers.models.rewards.replies import ReadScore, Unreadable, read_score, spoken_answer

ASKED_AGAIN = "\n\n[asked again]\n\n"
"""Separates the two replies in ``response`` where the model was asked twice."""

LEAST_MASS = 0.1
"""A ``logits`` score needs this share of the probability for the numbers of the scale. With less, the model would begin
nine of ten answers with something else, and how it weighs the numbers says little."""


def read(reply: ModelReply, settings: RewardSettings) -> ReadScore | Unreadable:
    """The score of a reply on the run's scale."""
    return read_score(reply.text, settings.low, settings.high, cut_off=reply.cut_off, in_thought=reply.in_thought)


def by_numbers(prompt: Prompt, result: NumberScore | RowFailure, text_of: Callable[[int], str]) -> Judgement:
    """The judgement of a ``logits`` score; ``response`` is JSON with the probability of each number, and their sum.

    ``text_of`` gives the text of a token.
    """
    if isinstance(result, RowFailure):
        return failed(prompt, result)
    numbers = {str(number): round(share, 6) for number, share in result.probabilities.items()}
    response = json.dumps({"numbers": numbers, "mass": float(f"{result.mass:.6g}")})
    if result.mass < LEAST_MASS:
        message = (
            f"the numbers of the scale have {result.mass:.2g} of the probability together, less than {LEAST_MASS:g}: "
            f"the model would rather begin its answer with {text_of(result.likeliest)!r}"
        )
        return Judgement(aspect=prompt.aspect, kind="off_scale", message=message, response=response)
    return Judgement(aspect=prompt.aspect, score=result.score, method="logits", response=response)


def by_replies(
    prompt: Prompt, first: ModelReply | RowFailure, second: ModelReply | RowFailure | None, settings: RewardSettings
) -> Judgement:
    """The judgement of a ``generate`` score; ``second`` is the reply to the second question, if there was one."""
    if isinstance(first, RowFailure):
        return failed(prompt, first)
    response, reading = first.text, read(first, settings)
    if isinstance(second, ModelReply):
        response += ASKED_AGAIN + second.text
        reading = read(second, settings)
    if isinstance(reading, ReadScore):
        return Judgement(aspect=prompt.aspect, score=reading.score, method=reading.method, response=response)
    message = reading.reason
    if isinstance(second, RowFailure):
        message += f"; asking again failed: {second.message}"
    return Judgement(aspect=prompt.aspect, kind="unreadable_reply", message=message, response=response)


def answer(prompt: Prompt, reply: ModelReply | RowFailure) -> Judgement:
    """The answer to a question: the reply as it is, without the thought before it. A protocol reads it.

    A reply that its token limit ended may have said enough: it is an answer too, and ``message`` says that it was cut.
    """
    if isinstance(reply, RowFailure):
        return failed(prompt, reply)
    spoken = spoken_answer(reply.text, in_thought=reply.in_thought, cut_off=reply.cut_off)
    if isinstance(spoken, Unreadable):
        return Judgement(aspect=prompt.aspect, kind="unreadable_reply", message=spoken.reason, response=reply.text)
    message = "the reply was cut off at max_new_tokens" if reply.cut_off else None
    return Judgement(aspect=prompt.aspect, response=spoken, message=message)


def failed(prompt: Prompt, failure: RowFailure) -> Judgement:
    """The judgement of a row that failed."""
    return Judgement(aspect=prompt.aspect, kind=failure.kind, message=failure.message)
