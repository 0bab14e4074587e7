"""The keys of a judge behind a server, the conflicts between them, and what one run asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from workers.interface import ModelError
from workers.models.declaration import Conflict, Key, ignored, pick, with_keys
from workers.models.keys import REWARD_KEYS, model_name, scale_conflicts
from workers.models.rewards.parameters import RewardSettings, read_settings
from workers.models.served.keys import (
    API_KEY_ENV,
    BASE_URL,
    MAX_CONCURRENCY,
    NO_DEVICE,
    RETRY_KEYS,
    RequestSettings,
)
from workers.models.served.process import SERVER_KEY, server_conflicts

ReplyFormat = Literal["text", "json_object", "json_schema"]
ImageFormat = Literal["png", "jpeg", "webp"]

_OURS = (
    "model",
    "messages",
    "n",
    "stream",
    "stream_options",
    "response_format",
    "logprobs",
    "top_logprobs",
)
"""What `parameters` can't set: a judge could not read the reply, or would be asked for another one."""
_BY_KEY = {"temperature": "temperature", "max_tokens": "max_new_tokens", "max_completion_tokens": "max_new_tokens"}

KEYS = with_keys(
    ignored(
        pick(
            REWARD_KEYS,
            "model_name",
            "device_ids",
            "scoring",
            "score_range",
            "use_batch_inference",
            "batch_size",
            "compare_with_original",
            "threads_per_worker",
            "conda_env",
            "python",
        ),
        "use_batch_inference",
        "batch_size",
    ),
    model_name(None, "The model, as its server calls it."),
    BASE_URL,
    SERVER_KEY,
    API_KEY_ENV,
    NO_DEVICE,
    Key(
        "max_concurrency",
        "int",
        32,
        "The most requests in flight. A run begins with few, and finds out how many the server takes.",
        "speed",
        low=1,
        high=MAX_CONCURRENCY,
    ),
    *RETRY_KEYS,
    Key(
        "reply_format",
        "choice",
        "text",
        "`text`; `json_object`: any JSON; `json_schema`: JSON with a score on the scale (not for a protocol).",
        choices=("text", "json_object", "json_schema"),
    ),
    Key("temperature", "float", 0.0, "Null: not sent; some models refuse it.", low=0, high=2, optional=True),
    Key(
        "max_new_tokens",
        "int",
        1024,
        "The longest reply, in tokens, thoughts included. Null: not sent.",
        low=1,
        high=1_000_000,
        optional=True,
    ),
    Key("parameters", "mapping", None, "Further parameters of the request, passed on as they are."),
    Key(
        "image_format",
        "choice",
        "png",
        "How images are sent; a protocol says this itself.",
        choices=("png", "jpeg", "webp"),
    ),
    Key(
        "max_image_side",
        "int",
        None,
        "Larger images are reduced to this longer side, in pixels; a protocol says this itself.",
        low=16,
        high=16_384,
    ),
    Key(
        "max_requests",
        "int",
        None,
        "The run stops when it has made this many requests, and can be resumed.",
        "nothing",
        low=1,
        high=10**9,
    ),
)


def conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """What is wrong with the values together."""
    yield from server_conflicts(values)
    yield from scale_conflicts(values)
    if values["scoring"] == "logits" and values["reply_format"] != "text":
        message = "logits reads how an answer begins, and JSON begins with a brace"
        yield Conflict((("reply_format",), ("scoring",)), message, "write `reply_format: text`, or `scoring: generate`")
    for name in values["parameters"] or ():
        at = ("parameters", str(name))
        if name in _OURS:
            yield Conflict((at,), "can't be set here: it decides what warmbench reads")
        elif name in _BY_KEY and values[_BY_KEY[name]] is not None:
            key = _BY_KEY[name]
            yield Conflict((at, (key,)), f"is set twice: {key} sets it, too", f"write `{key}: null`, or leave it out")


class JudgeSettings(RequestSettings, frozen=True, kw_only=True):
    """What one run asks of a judge."""

    scoring: Literal["generate", "logits"] = "generate"
    score_range: tuple[float, float] = (0.0, 10.0)
    compare_with_original: bool = False
    reply_format: ReplyFormat = "text"
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = 0.0
    max_new_tokens: Annotated[int, Meta(ge=1)] | None = 1024
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    image_format: ImageFormat = "png"
    max_image_side: Annotated[int, Meta(ge=16)] | None = None

    @property
    def scale(self) -> RewardSettings:
        """How prompts are put and replies are read, which is the same for every reward."""
        return read_settings(
            {
                "scoring": self.scoring,
                "score_range": self.score_range,
                "compare_with_original": self.compare_with_original,
            }
        )


def read_judge_settings(parameters: Mapping[str, Any]) -> JudgeSettings:
    """Check the parameters of a run.

    Raises:
        ModelError: of kind ``config``, with the parameter.
    """
    try:
        return msgspec.convert(parameters, JudgeSettings)
    except msgspec.ValidationError as error:
        raise ModelError("config", f"reward_model.params: {error}") from error
