"""What a judge's server for tests receives, and what it answers by default."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from PIL import Image

FaultKind = Literal[
    "filtered",  # finish_reason content_filter
    "filtered_400",  # a provider's 400 with code content_filter
    "bad_request",  # 400
    "refused",  # message.refusal instead of content
    "rate_limit",  # 429
    "rate_limit_seconds",  # 429, Retry-After in seconds (``retry_after``)
    "rate_limit_date",  # 429, Retry-After as a date
    "server_error",  # 500
    "overloaded",  # 503
    "reset",  # the connection is reset
    "half",  # half a reply, then the end of the connection
    "half_json",  # a complete reply that is half of its JSON
    "empty",  # an answer without text
    "truncated",  # half an answer, finish_reason length
    "html",  # a page, status 200
    "huge",  # 10 MB
    "compressed",  # 10 MB in 10 KB
    "never",  # no reply
]
FOR_GOOD: frozenset[FaultKind] = frozenset({"bad_request", "filtered", "filtered_400", "refused"})
"""The faults that a request has every time."""


@dataclass(frozen=True)
class Request:
    """A request to ``/v1/chat/completions``; ``attempt`` counts the same ones before it."""

    number: int
    body: dict[str, Any]
    key: str | None
    attempt: int
    digest: bytes
    seconds: float = field(default_factory=time.monotonic)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of all messages, texts included, in order."""
        contents = [message["content"] for message in self.body["messages"]]
        return [
            part
            for content in contents
            for part in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
        ]

    @property
    def texts(self) -> list[str]:
        """All texts, in order."""
        return [part["text"] for part in self.parts if part["type"] == "text"]

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """The media type and the bytes of each image, in order."""
        urls = [part["image_url"]["url"] for part in self.parts if part["type"] == "image_url"]
        split = [url.removeprefix("data:").split(";base64,") for url in urls]
        return [(media_type, base64.b64decode(data, validate=True)) for media_type, data in split]

    @cached_property
    def images(self) -> list[Image.Image]:
        """The images, decoded as they were sent."""
        images: list[Image.Image] = [Image.open(io.BytesIO(data)) for _, data in self.files]
        for image in images:
            image.load()
        return images

    def chance(self, *salt: object) -> float:
        """A number from 0 to 1 that the request and ``salt`` decide."""
        digest = hashlib.sha256(self.digest + repr(salt).encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64


def default_answer(request: Request) -> str:
    """A score from 0 to 10."""
    return json.dumps({"score": int(request.chance("score") * 11)})


def default_logprobs(request: Request) -> list[dict[str, float]]:
    """For each token of the answer the log probabilities of some: here the numbers from 0 to 10, in one token each."""
    weights = [0.01 + request.chance("number", number) for number in range(11)]
    return [{str(number): math.log(weight / sum(weights)) for number, weight in enumerate(weights)}]
