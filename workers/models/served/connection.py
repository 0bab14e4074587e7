"""One request to a judge's server and its reply, through the `openai` package: what is read of it is bounded.

The key is in the headers of the requests and nowhere else: it is taken out of whatever the server or a library says. A
word too short to be one, such as those that local servers are given, is no secret and may be part of any answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from workers.interface import ModelError
from workers.models.served.replies import MAX_REPLY, Answer, Failure, read_reply

_CONNECT_SECONDS = 30.0
_LOAD_SECONDS = 15.0
_SHORTEST_SECRET = 8
_MOST_VERSION = 10_000
_NO_KEY = "none"
"""Sent to a server that needs no key: the package sends one in any case."""


T = TypeVar("T")


@dataclass(frozen=True)
class Request(Generic[T]):
    """What is asked of a server: what is posted to a path, and what its reply (status, headers, body) says.

    ``posted`` are arguments of the package's ``post``.
    """

    path: str
    posted: Mapping[str, Any]
    content_type: str
    read: Callable[[int, Mapping[str, str], bytes], T | Failure]


def completion(body: Mapping[str, Any]) -> Request[Answer]:
    """The request for a chat completion."""

    def read(status: int, headers: Mapping[str, str], reply: bytes) -> Answer | Failure:
        return read_reply(status, headers, reply, body.keys())

    return Request("/chat/completions", {"content": msgspec.json.encode(body)}, "application/json", read)


class _TooLongError(Exception):
    """A reply is longer than what is read of it, or is compressed and could become so."""


class Connection:
    """The server. Made in any thread, then used in one event loop."""

    def __init__(self, base_url: str, key: str | None, *, is_local: bool, max_reply: int = MAX_REPLY) -> None:
        """``key`` is in no message and no log. ``is_local``: not through a proxy. ``max_reply``: the most bytes of a
        reply that are read.
        """
        import httpx2
        import openai

        for name in ("httpx2", "httpcore2", "openai"):
            logging.getLogger(name).setLevel(logging.WARNING)
        http_client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            follow_redirects=False,  # the key is for this server
            trust_env=not is_local,
            event_hooks={"response": [_bound_to(max_reply)]},
        )
        self._secret = key if key is not None and len(key) >= _SHORTEST_SECRET else None
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=key or _NO_KEY, max_retries=0, http_client=http_client
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def post(self, request: Request[T], seconds: float) -> T | Failure:
        """Make a request, once."""
        try:
            async with asyncio.timeout(seconds):
                status, headers, reply = await self._call("post", request.path, request)
        except TimeoutError:
            return Failure("timeout", f"no reply in {seconds:g} s", again=True, in_trouble=True)
        except _TooLongError as error:
            return Failure("bad_reply", str(error), again=True)
        except ModelError as error:
            return Failure(error.kind, str(error), again=True, in_trouble=True)
        return request.read(status, headers, reply)

    async def _call(self, method: str, path: str, request: Request[Any] | None) -> tuple[int, Mapping[str, str], bytes]:
        """The status, the headers and the body of the server's reply.

        Raises:
            ModelError: kind ``server_error``: there was none.
            _TooLongError: it is more than what is read.
        """
        import httpx2
        import openai

        content_type = request.content_type if request is not None else "application/json"
        options = {"headers": {"Content-Type": content_type, "Accept-Encoding": "identity"}}
        call = getattr(self._client, method)
        more = request.posted if request is not None else {}
        try:
            response = await call(path, cast_to=httpx2.Response, options=options, **more)
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIError as error:
            cause = error.__cause__ or error
            text = self._without_key(f"{type(cause).__name__}: {cause}".strip(": "))
            raise ModelError("server_error", f"the connection failed: {text}") from None
        reply = response.content
        if self._secret is not None:
            reply = reply.replace(self._secret.encode(), b"***")
        return response.status_code, response.headers, reply

    def _without_key(self, text: str) -> str:
        """The text, in one line of some length, without the key."""
        return " ".join((text.replace(self._secret, "***") if self._secret else text).split())[:500]

    async def check(self) -> None:
        """Look whether the server is there and takes the key, at no cost.

        Raises:
            ModelError: ``load`` or ``unauthorized``, with what to do.
        """
        url = self._client.base_url
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                status, headers, reply = await self._call("get", "/models", None)
        except TimeoutError:
            raise ModelError("load", f"{url}: no reply in {_LOAD_SECONDS:g} s: is the server up?") from None
        except ModelError as error:
            raise ModelError("load", f"{url}: {error}: is the server up, and base_url right?") from None
        except _TooLongError:
            return
        if status == 401:
            result = read_reply(status, headers, reply, ())
            raise ModelError("unauthorized", f"{url}: {result.message if isinstance(result, Failure) else status}")

    async def version(self) -> str | None:
        """The server's version as `/version` says it (vLLM, vLLM-Omni); None if it does not."""
        address = self._client.base_url.copy_with(path="/version")
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                status, _, reply = await self._call("get", str(address), None)
            version = msgspec.json.decode(reply[:_MOST_VERSION]).get("version") if status == 200 else None
        except (TimeoutError, ModelError, _TooLongError, msgspec.DecodeError, AttributeError):
            return None
        return str(version)[:100] if version else None


def _bound_to(most: int) -> Callable[[Any], Any]:
    """Have no more read of a reply than these bytes."""

    async def bound(response: Any) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _TooLongError("the reply is compressed, though that was not asked for")
        response.stream = _bounded_stream(response.stream, most)

    return bound


def _bounded_stream(stream: Any, most: int) -> Any:
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in stream:
                size += len(chunk)
                if size > most:
                    raise _TooLongError(f"the reply is longer than {most // 2**20} MB")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
