"""What the reward model is asked: the turns of a conversation, as chat templates take them.

Nothing is added to the question of a protocol. The texts that are added to a run's own prompts are Chinese, like the
built-in prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from PIL import Image

from protocol.messages import Question, TextPart
from workers.interface import QuestionImage, ScoreRequest
from workers.models.flatten import flatten
from workers.models.rewards.parameters import RewardSettings
from workers.models.thoughts import THOUGHT_END

SOURCE_LABEL = "原始图像："
EDIT_LABEL = "编辑后的图像："


class Conversation(Struct, frozen=True):
    """Turns for ``apply_chat_template``, and the images (RGB) that they hold, in order."""

    turns: Sequence[dict[str, Any]]
    images: Sequence[Image.Image]


def first_question(request: ScoreRequest, settings: RewardSettings) -> Conversation:
    """The protocol's question, or the run's prompt about the edit. To compare, the source is shown before the edit.

    Raises:
        ValueError: the run compares, and the request has no source.
        ModelError: an image of a question cannot be decoded.
    """
    if request.question is not None:
        return _question(request.question, request.shown)
    user = request.prompt.user
    if settings.scoring == "logits":
        user += number_only(settings)
    if not settings.compare_with_original:
        return _conversation(request.prompt.system, [flatten(request.image), user])
    if request.source is None:
        raise ValueError(f"{request.key}: compare_with_original is on, but there is no source image")
    parts: list[Image.Image | str] = [SOURCE_LABEL, flatten(request.source), EDIT_LABEL, flatten(request.image), user]
    return _conversation(request.prompt.system, parts)


def number_only(settings: RewardSettings) -> str:
    """The addition to a prompt that makes the first token of the answer a number.

    Most prompts ask for JSON, whose first token would be a brace.
    """
    return (
        f"\n\n无论上文要求何种格式，现在只回答一个 {settings.low:g} 到 {settings.high:g} 之间的整数，不要输出其他内容。"
    )


def second_question(first: Conversation, reply: str, settings: RewardSettings) -> Conversation:
    """Ask for the score in the right form, after the model's own reply: it does not have to judge again."""
    again = (
        f'请只用一个 JSON 对象给出你的评分，不要输出其他内容：{{"score": 分数}}，'
        f"其中分数是 {settings.low:g} 到 {settings.high:g} 之间的数字。"
    )
    _, thought, answer = reply.rpartition(THOUGHT_END)
    said = answer.lstrip() if thought else reply  # an earlier thought is no part of a conversation
    turns = [*first.turns, _turn("assistant", [said]), _turn("user", [again])]
    return Conversation(turns, first.images)


def refuse_special_tokens(conversation: Conversation, special_tokens: Iterable[str]) -> None:
    """Refuse texts with special tokens of the model: they would add missing images, or end the turn.

    Raises:
        ValueError: with the token.
    """
    texts = [part["text"] for turn in conversation.turns for part in turn["content"] if part["type"] == "text"]
    for token in special_tokens:
        if any(token in text for text in texts):
            raise ValueError(f"the prompt contains {token}, which is a special token of the reward model")


def _question(question: Question, shown: Sequence[QuestionImage]) -> Conversation:
    from workers.codecs import decode_image

    images = iter(shown)
    parts = [
        part.text if isinstance(part, TextPart) else flatten(decode_image(next(images).data)) for part in question.parts
    ]
    return _conversation(question.system, parts)


def _conversation(system: str, parts: Sequence[Image.Image | str]) -> Conversation:
    turns = [_turn("system", [system])] if system else []
    images = [part for part in parts if not isinstance(part, str)]
    return Conversation([*turns, _turn("user", parts)], images)


def _turn(role: str, parts: Sequence[Image.Image | str]) -> dict[str, Any]:
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts]
    return {"role": role, "content": content}


NO_QUESTION = Conversation([_turn("user", ["?"])], ())
"""Shows how a chat template begins the answer."""
