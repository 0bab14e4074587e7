"""Reads what a server with `/v1/chat/completions` sent: an answer, or a failure with its kind and reason.

| kind | what | again |
|---|---|---|
| ``filtered`` | a content filter stopped the request or the answer | no |
| ``refused`` | the model declined to answer | no |
| ``empty_reply`` | an answer without text | yes |
| ``truncated`` | the token limit ended the answer before it said anything that can be used | no |
| ``rate_limited``, ``server_error``, ``timeout`` | 429; 5xx or a lost connection; no reply in time | yes |
| ``bad_reply`` | no JSON, half of it, a page, another form, or more than ``MAX_REPLY`` bytes | yes |
| ``bad_request``, ``too_large`` | the server did not accept this request | no |
| ``unauthorized``, ``no_credit``, ``unknown_model``, ``bad_parameter`` | nor would it any other request | no |

Where the first requests are all of kind ``bad_request``, the kind of the others is ``not_accepted``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from workers.models.served.pacing import retry_after_seconds

MAX_REPLY = 4 * 2**20
"""The most bytes of a reply that are read."""

_FILTER = re.compile(
    r"content_?filter|content_policy|moderation|responsible_?ai|data_?inspection|^safety$", re.IGNORECASE | re.MULTILINE
)
_SHOWN = 300
_MOST_TOKENS = 10**9


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer. ``again``: it may have one if it is made again, after ``retry_after`` seconds.

    ``in_trouble``: the server has difficulties of its own; ``too_many``: because of too many requests.
    """

    kind: str
    message: str
    again: bool = False
    in_trouble: bool = False
    too_many: bool = False
    retry_after: float | None = None


class Alternative(Struct, frozen=True):
    """A token that could have come at a place of the answer, and the logarithm of its probability."""

    token: str
    logprob: float


class Token(Struct, frozen=True):
    """A token of the answer, and the likeliest ones at its place."""

    token: str
    top_logprobs: list[Alternative] = []


@dataclass(frozen=True)
class Answer:
    """What the model answered. ``cut_off``: the token limit ended it."""

    text: str
    cut_off: bool
    tokens: Sequence[Token] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str | None = None
    system_fingerprint: str | None = None


class _Logprobs(Struct, frozen=True):
    content: list[Token] | None = None


class _Message(Struct, frozen=True):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):  # some gateways answer in parts
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class _Choice(Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Reply(Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    error: Any = None


@dataclass(frozen=True)
class _Error:
    message: str = ""
    code: str = ""
    param: str = ""
    codes: str = ""
    """All that may say that a filter refused it, a line each."""


def read_reply(status: int, headers: Mapping[str, str], content: bytes, sent: Collection[str]) -> Answer | Failure:
    """What the server's reply says. ``sent`` are the names of the request's parameters."""
    if not 200 <= status < 300:
        return refusal(status, headers, error_of(content), sent)
    try:
        reply = msgspec.json.decode(content, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return bad_reply(headers, content, error)
    if not reply.choices:
        if reply.error is not None:
            return gateway_failure(headers, content, sent)
        return Failure("bad_reply", "the reply has no choices", again=True)
    return _answer(reply, reply.choices[0])


def _answer(reply: _Reply, choice: _Choice) -> Answer | Failure:
    text, reason = choice.message.text, choice.finish_reason or ""
    if _FILTER.search(reason):
        return Failure("filtered", f"the server's content filter stopped the answer (finish_reason {_shown(reason)})")
    if choice.message.refusal:
        return Failure("refused", f"the model declined: {_shown(choice.message.refusal)}")
    cut_off = reason == "length"
    usage = reply.usage or _Usage()
    if not text.strip():
        if cut_off:
            message = "max_new_tokens ended the answer before it had any text: a model that thinks first needs more"
            return Failure("truncated", message)
        return Failure("empty_reply", f"the answer has no text (finish_reason {_shown(reason)})", again=True)
    return Answer(
        text,
        cut_off,
        (choice.logprobs.content or ()) if choice.logprobs else (),
        _count(usage.prompt_tokens),
        _count(usage.completion_tokens),
        reply.model and _shown(reply.model),
        reply.system_fingerprint and _shown(reply.system_fingerprint),
    )


def _count(number: int | None) -> int:
    """A number of tokens, 0 if the server gives none that can be right."""
    return number if number is not None and 0 <= number <= _MOST_TOKENS else 0


def bad_reply(headers: Mapping[str, str], content: bytes, error: Exception) -> Failure:
    """The failure that a reply of another form means."""
    start = content[:100].lstrip().lower()
    if "html" in headers.get("content-type", "") or start.startswith((b"<!doctype", b"<html")):
        message = "the reply is a page, not JSON: does base_url end where the API begins, such as in /v1?"
    else:
        message = f"the reply does not have the form that was expected: {_shown(str(error))}"
    return Failure("bad_reply", message, again=True)


def gateway_failure(headers: Mapping[str, str], content: bytes, sent: Collection[str]) -> Failure:
    """The failure that a success with an error in it means: a gateway says so that the server behind it failed."""
    error = error_of(content)
    status = int(error.code) if error.code.isdecimal() and len(error.code) == 3 else 502
    return refusal(400 if status == 502 and _FILTER.search(error.codes) else status, headers, error, sent)


def refusal(status: int, headers: Mapping[str, str], error: _Error, sent: Collection[str]) -> Failure:
    """The failure that a status other than success means."""
    said = f"HTTP {status}" + (f": {error.message}" if error.message else "")
    after = retry_after_seconds(headers.get("retry-after"), datetime.now(UTC))
    if status == 402 or "insufficient_quota" in error.code:
        return Failure("no_credit", f"the account has no credit left: {said}")
    if status == 403 and _FILTER.search(error.message):
        return Failure("filtered", f"the server's moderation refused the request: {said}")
    if status in {400, 403, 422} and _FILTER.search(error.codes):
        return Failure("filtered", f"the server's content filter refused the request: {said}")
    if status in {401, 403}:
        return Failure("unauthorized", f"the server does not accept the key: {said}")
    if status == 404 or error.code == "model_not_found":
        return Failure("unknown_model", f"the server does not know the model, or base_url is wrong: {said}")
    if status == 429:
        return Failure("rate_limited", said, again=True, in_trouble=True, too_many=True, retry_after=after)
    if status in {408, 425} or status >= 500:
        kind = "timeout" if status in {408, 504} else "server_error"
        return Failure(kind, said, again=True, in_trouble=True, too_many=status in {503, 529}, retry_after=after)
    if status == 413 or error.code == "context_length_exceeded" or "context length" in error.message.lower():
        return Failure("too_large", f"the request is larger than the server takes: {said}")
    if status in {400, 422} and (name := _parameter(error, sent)) is not None:
        return Failure("bad_parameter", f"the server does not accept the parameter `{name}`: {said}")
    return Failure("bad_request", f"the server did not accept the request: {said}")


def _parameter(error: _Error, sent: Collection[str]) -> str | None:
    """The parameter of the request that the error is about, if it is about one."""
    parameters = sorted(set(sent) - {"model", "messages"})
    if error.param.partition(".")[0] in parameters:
        return error.param
    named = [name for name in parameters if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", error.message)]
    return named[0] if len(named) == 1 or (named and "parameter" in error.message.lower()) else None


def error_of(content: bytes) -> _Error:
    """What the body of an error says, in any of the usual forms."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return _Error(_shown(error))
    if not isinstance(error, dict):
        return _Error()
    message = error.get("message") or error.get("detail") or ""
    inner = error.get("innererror")
    codes = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None]
    return _Error(
        _shown(str(message)),
        str(error.get("code") or "")[:100],
        str(error.get("param") or "")[:100],
        "\n".join(str(code)[:100] for code in codes),
    )


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
