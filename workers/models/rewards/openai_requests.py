"""Makes the bodies of chat completions: of a run's prompts about an edit, and of a protocol's questions."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from protocol.messages import ImagePart, Question
from workers.interface import ModelError, QuestionImage, ScoreRequest
from workers.models.flatten import flatten
from workers.models.rewards.conversations import Conversation, first_question
from workers.models.rewards.openai_logprobs import TOP_LOGPROBS
from workers.models.rewards.openai_settings import JudgeSettings

_QUALITY = 95
_END_OF_JPEG = b"\xff\xd9"
_PNG_METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""What may say that an image is not upright."""
_IMAGE = Image.new("RGB", (1, 1))
"""Stands for the images of a conversation, which are sent as files."""
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
        ValueError: a request has no file, or no source although the run compares.
        ModelError: a file cannot be decoded.
    """
    urls: dict[int, Body] = {}  # by the ids of files, which the requests hold
    made = []
    for request in requests:
        if not request.files:
            raise ValueError(f"{request.key}: there is no file of the edit")
        source = _IMAGE if len(request.files) > 1 else None
        conversation = first_question(replace(request, image=_IMAGE, source=source), settings.scale)
        files = request.files[::-1] if settings.compare_with_original else request.files[:1]
        for file in files:
            if id(file) not in urls:
                urls[id(file)] = _image(*file_to_send(file, settings))
        images = [urls[id(file)] for file in files]
        body = _body(_messages(conversation, images), server, settings)
        made.append((body, Conversation(conversation.turns, ())))
    return made


def follow_up(body: Body, conversation: Conversation) -> Body:
    """The request that goes on with ``conversation``, which began with ``body``."""
    images = [part for message in body["messages"] for part in _parts(message) if part["type"] == "image_url"]
    return {**body, "messages": _messages(conversation, images)}


def file_to_send(file: bytes, settings: JudgeSettings) -> tuple[bytes, str]:
    """The bytes of an image as the run wants them sent, and their media type: those of its file, if they are right.

    Raises:
        ModelError: it cannot be decoded.
    """
    from workers.codecs import decode_image, opened_image

    with opened_image(file) as image:
        if _is_right(image, file, settings):
            return file, f"image/{settings.image_format}"
    return _encode(flatten(decode_image(file)), settings)


def _is_right(image: Image.Image, file: bytes, settings: JudgeSettings) -> bool:
    """Whether the file shows a judge what encoding it anew would: upright, opaque, small enough and whole."""
    from workers.codecs import upright_transposition

    small = settings.max_image_side is None or max(image.size) <= settings.max_image_side
    plain = image.mode in ("RGB", "L") and not image.has_transparency_data and "icc_profile" not in image.info
    right = image.format == settings.image_format.upper() and getattr(image, "n_frames", 1) == 1
    if not (small and plain and right):
        return False
    if image.format == "PNG":
        # Pillow decodes all of a PNG to look for its metadata; a checksum in each part tells that it is whole.
        image.verify()
        return not any(kind in file for kind in _PNG_METADATA)
    if image.format == "JPEG":
        return file.endswith(_END_OF_JPEG) and upright_transposition(image) is None
    image.load()
    return upright_transposition(image) is None


def _encode(image: Image.Image, settings: JudgeSettings) -> tuple[bytes, str]:
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
