"""Makes the bodies of chat completions: of a run's prompts about an edit, and of a protocol's questions."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from protocol.messages import ImagePart, Question
from workers.interface import ModelError, QuestionImage, ScoreRequest
from workers.models.rewards.conversations import Conversation, first_question
from workers.models.rewards.openai_logprobs import TOP_LOGPROBS
from workers.models.rewards.openai_settings import JudgeSettings

_QUALITY = 95
Body = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """The model's name on the server, and the server's name of the parameter that limits a reply's tokens."""

    model: str
    token_limit: str = "max_tokens"  # noqa: S105 - no password


def question_body(question: Question, shown: Sequence[QuestionImage], server: Server, settings: JudgeSettings) -> Body:
    """The request that asks a protocol's question: its parts in order, as they are.

    Raises:
        ModelError: of kind ``config``: a reply was asked for in a form that a question can't have.
    """
    if settings.reply_format == "json_schema" or settings.scoring == "logits":
        key = "reply_format: json_schema" if settings.reply_format == "json_schema" else "scoring: logits"
        raise ModelError("config", f"reward_model.params.{key} can't be had with a protocol, which says what it asks")
    images = iter(shown)
    content: list[Body] = []
    for part in question.parts:
        if isinstance(part, ImagePart):
            image = next(images)
            content.append(_image(image.data, image.media_type, part.detail))
        else:
            content.append({"type": "text", "text": part.text})
    system = [{"role": "system", "content": question.system}] if question.system else []
    return _body([*system, {"role": "user", "content": content}], server, settings)


def prompt_bodies(
    requests: Sequence[ScoreRequest], server: Server, settings: JudgeSettings
) -> list[tuple[Body, Conversation]]:
    """The requests for the run's prompts, and the conversations that they begin. The prompts about one edit share its
    images, which are encoded once.

    Raises:
        ValueError: the run compares, and a request has no source.
    """
    urls: dict[int, Body] = {}
    shared: dict[int, Image.Image] = {}  # holds the images: their ids must not be used again
    made = []
    for request in requests:
        conversation = first_question(request, settings.scale)
        for original, image in zip(_originals(request, settings), conversation.images, strict=True):
            if id(original) not in urls:
                shared[id(original)] = original
                urls[id(original)] = _image(*encode_image(image, settings))
        images = [urls[id(original)] for original in _originals(request, settings)]
        body = _body(_messages(conversation, images), server, settings)
        made.append((body, Conversation(conversation.turns, ())))
    return made


def follow_up(body: Body, conversation: Conversation) -> Body:
    """The request that goes on with ``conversation``, which began with ``body``."""
    images = [part for message in body["messages"] for part in _parts(message) if part["type"] == "image_url"]
    return {**body, "messages": _messages(conversation, images)}


def encode_image(image: Image.Image, settings: JudgeSettings) -> tuple[bytes, str]:
    """The bytes of an RGB image as the run wants them sent, and their media type."""
    longest = max(image.size)
    if settings.max_image_side is not None and longest > settings.max_image_side:
        width, height = (max(1, round(side * settings.max_image_side / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    if settings.image_format == "png":
        from workers.codecs import encode_png

        return encode_png(image), "image/png"
    with io.BytesIO() as buffer:
        image.save(buffer, settings.image_format.upper(), quality=_QUALITY)
        return buffer.getvalue(), f"image/{settings.image_format}"


def _originals(request: ScoreRequest, settings: JudgeSettings) -> Sequence[Image.Image]:
    """The images of a request in the order in which ``first_question`` shows them."""
    if settings.compare_with_original and request.source is not None:
        return request.source, request.image
    return (request.image,)


def _messages(conversation: Conversation, images: Sequence[Body]) -> list[Body]:
    remaining = iter(images)
    messages = []
    for turn in conversation.turns:
        parts = [next(remaining) if part["type"] == "image" else part for part in turn["content"]]
        is_plain = turn["role"] != "user" and len(parts) == 1
        messages.append({"role": turn["role"], "content": parts[0]["text"] if is_plain else parts})
    return messages


def _parts(message: Mapping[str, Any]) -> Sequence[Body]:
    content = message["content"]
    return () if isinstance(content, str) else content


def _image(data: bytes, media_type: str, detail: str | None = None) -> Body:
    url: Body = {"url": f"data:{media_type};base64,{base64.b64encode(data).decode()}"}
    return {"type": "image_url", "image_url": url | ({"detail": detail} if detail else {})}


def _body(messages: list[Body], server: Server, settings: JudgeSettings) -> Body:
    body: Body = {"model": server.model, "messages": messages}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    logits = settings.scoring == "logits"
    if logits:
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    longest = 2 if logits else settings.max_new_tokens
    if longest is not None and not {"max_tokens", "max_completion_tokens"} & settings.parameters.keys():
        body[server.token_limit] = longest
    if settings.reply_format != "text":
        body["response_format"] = _response_format(settings)
    return body | settings.parameters


def _response_format(settings: JudgeSettings) -> Body:
    if settings.reply_format == "json_object":
        return {"type": "json_object"}
    low, high = settings.score_range
    properties = {"reason": {"type": "string"}, "score": {"type": "number", "minimum": low, "maximum": high}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "judgement", "strict": True, "schema": schema}}
