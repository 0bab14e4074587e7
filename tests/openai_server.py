"""A judge's server for tests: real HTTP, the API of OpenAI, answers by a hash of the request, and faults on demand.

    with OpenAIServer() as server:                                    # http://127.0.0.1:PORT/v1, in a thread
        ...params: {base_url: server.base_url, model_name: "any"}...
        server.requests[0].texts, .images, .body, .key                # every request that came, in order

By default an answer is `{"score": N}` with a whole N from 0 to 10; `answer=` gives another text for a request. Others:

    OpenAIServer(latency=1.0, limit=4)                                # seconds a reply; a fifth in flight gets 429
    OpenAIServer(faults={"reset": 0.05, "filtered": 0.05})            # probabilities of the kinds in ``FaultKind``
    OpenAIServer(fault=lambda request: "empty" if request.attempt == 0 else None)          # or per request
    OpenAIServer(accepted="...", models=["judge"], refused_parameters=["temperature"])       # 401, 404, 400

The same request has the same answer in any run and order. A fault is decided by the request, how often it came before
(``attempt``) and ``seed``; those of ``FOR_GOOD`` by the request and the seed alone. As a program, for a server that is
a process of its own: ``python -m tests.openai_server --port 8000 --latency 0.1 --limit 4 --faults '{"reset": 0.1}'``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email.utils
import gzip
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Self, get_args

from tests.openai_request import FOR_GOOD, FaultKind, Request, default_answer, default_logprobs


class OpenAIServer:
    """The server; all of it is ready once the ``with`` block begins."""

    PATH = "/chat/completions"

    def __init__(
        self,
        *,
        port: int = 0,
        answer: Callable[[Request], str] = default_answer,
        logprobs: Callable[[Request], list[dict[str, float]]] = default_logprobs,
        faults: Mapping[FaultKind, float] | None = None,
        fault: Callable[[Request], FaultKind | None] | None = None,
        seed: int = 0,
        latency: float | Callable[[Request], float] = 0.0,
        limit: int | None = None,
        retry_after: float = 1.0,
        accepted: str | None = None,
        models: Collection[str] | None = None,
        refused_parameters: Collection[str] = (),
        redirect: str | None = None,
        version: str | None = None,
        keep: bool = True,
    ) -> None:
        """``limit`` is the most requests in flight, ``accepted`` the only key, ``redirect`` another base URL. Without
        ``keep`` requests are only counted.
        """
        if unknown := set(faults or ()) - set(get_args(FaultKind)):
            raise ValueError(f"no such faults: {unknown}")
        self.answer, self.logprobs, self.faults, self.seed = answer, logprobs, dict(faults or {}), seed
        self.latency, self.limit, self.retry_after = latency, limit, retry_after
        self.accepted, self.models, self.refused_parameters = accepted, models, set(refused_parameters)
        self.requests: list[Request] = []
        self.count = self.in_flight = self.most_in_flight = self.answered = 0
        self.met: Counter[str] = Counter()
        """How often each fault was met, and each refusal: ``limit``, ``unauthorized``, ``unknown_model``, ..."""
        self.version = version
        self._redirect = redirect
        self._fault = fault or self._by_chance
        self._keep, self._port = keep, port
        self._seen: Counter[bytes] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="openai server", daemon=True)
        self._ready = threading.Event()
        self._stopped = asyncio.Event()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._port

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not stop"

    # -- the server

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.closing(writer), contextlib.suppress(*gone):
            while head := await reader.readuntil(b"\r\n\r\n"):
                request_line, *lines = head.decode("latin-1").split("\r\n")
                headers = {
                    name.strip().lower(): value.strip() for name, _, value in (li.partition(":") for li in lines)
                }
                content = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = request_line.split(" ")
                await self._respond(method, path, headers, content, reader, writer)
                await writer.drain()

    async def _respond(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        key = headers.get("authorization", "").removeprefix("Bearer ") or None
        if self._redirect is not None and method == "POST":
            _send(writer, 307, {}, {"Location": self._redirect + self.PATH})
        elif path == "/health":
            _send(writer, 200, {"status": "ok"})
        elif self.accepted is not None and key != self.accepted:
            self._refuse(writer, "unauthorized", 401, "Incorrect API key provided.", code="invalid_api_key")
        elif (method, path) == ("GET", "/v1/models"):
            _send(writer, 200, {"object": "list", "data": [{"id": model} for model in self.models or ["any"]]})
        elif path == "/version" and self.version is not None:
            _send(writer, 200, {"version": self.version})
        elif (method, path) == ("POST", "/v1" + self.PATH):
            body = self._body(headers, content)
            digest = hashlib.sha256(json.dumps(body).encode()).digest()
            request = Request(self.count, body, key, self._seen[digest], digest)
            self.count += 1
            self._seen[digest] += 1
            if self._keep:
                self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            try:
                await self._judge(request, reader, writer)
            finally:
                self.in_flight -= 1
        else:
            _send(writer, 404, {"error": {"message": f"no {method} {path}"}})

    def _body(self, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(content)
        return body

    async def _judge(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = request.body
        if self.models is not None and body["model"] not in self.models:
            text = f"The model `{body['model']}` does not exist."
            self._refuse(writer, "unknown_model", 404, text, code="model_not_found")
        elif refused := sorted(self.refused_parameters & body.keys()):
            text = f"Unsupported parameter: '{refused[0]}' is not supported with this model."
            self._refuse(writer, "bad_parameter", 400, text, code="unsupported_parameter", param=refused[0])
        elif self.limit is not None and self.in_flight > self.limit:
            self._refuse(writer, "limit", 429, "Rate limit reached.", code="rate_limit_exceeded")
        else:
            latency = self.latency(request) if callable(self.latency) else self.latency
            if latency:
                await asyncio.sleep(latency)
            fault = self._fault(request)
            if fault is not None:
                self.met[fault] += 1
            await self._send_fault(fault, request, reader, writer)

    def _by_chance(self, request: Request) -> FaultKind | None:
        for kind, probability in sorted(self.faults.items(), key=lambda entry: entry[0] not in FOR_GOOD):
            attempt = None if kind in FOR_GOOD else request.attempt
            if request.chance("fault", self.seed, kind, attempt) < probability:
                return kind
        return None

    async def _send_fault(
        self,
        fault: FaultKind | None,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        full: dict[str, Callable[[], dict[str, Any]]] = {
            "filtered": lambda: self._completion(request, "", finish="content_filter"),
            "refused": lambda: self._completion(request, None, refusal="I can't help with that."),
            "empty": lambda: self._completion(request, ""),
            "truncated": lambda: self._completion(request, (t := self.answer(request))[: len(t) // 2], finish="length"),
        }
        date = email.utils.formatdate(time.time() + self.retry_after, usegmt=True)
        statuses: dict[str, tuple[int, str, str | None, dict[str, str]]] = {
            "bad_request": (400, "The request is invalid.", None, {}),
            "filtered_400": (400, "The response was filtered.", "content_filter", {}),
            "rate_limit": (429, "Rate limit reached.", "rate_limit_exceeded", {}),
            "rate_limit_seconds": (429, "Rate limit reached.", None, {"Retry-After": f"{self.retry_after:g}"}),
            "rate_limit_date": (429, "Rate limit reached.", None, {"Retry-After": date}),
            "server_error": (500, "The server had an error.", None, {}),
            "overloaded": (503, "The engine is overloaded.", None, {}),
        }  # fmt: skip
        if fault is None or fault in full:
            self.answered += 1
            _send(writer, 200, full[fault]() if fault else self._completion(request, self.answer(request)))
        elif fault in statuses:
            status, message, code, headers = statuses[fault]
            _send(writer, status, {"error": {"message": message, "code": code}}, headers)
        else:
            await self._break(fault, request, reader, writer)

    async def _break(
        self, fault: FaultKind, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        reply = json.dumps(self._completion(request, self.answer(request))).encode()
        match fault:
            case "reset":
                writer.transport.abort()
            case "half":
                _send_bytes(writer, 200, "application/json", reply[: len(reply) // 2], length=len(reply))
                await writer.drain()
                writer.close()
            case "half_json":
                _send_bytes(writer, 200, "application/json", reply[: len(reply) // 2])
            case "html":
                _send_bytes(writer, 200, "text/html", b"<!DOCTYPE html><html><body>Sign in</body></html>")
            case "huge":
                _send(writer, 200, self._completion(request, "x" * 10_000_000))
            case "compressed":
                headers = {"Content-Encoding": "gzip"}
                _send_bytes(writer, 200, "application/json", gzip.compress(bytes(10_000_000)), headers)
            case "never":
                await reader.read()  # until the client gives up
                writer.close()

    def _completion(
        self, request: Request, text: str | None, *, finish: str = "stop", refusal: str | None = None
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": finish,
            "message": {"role": "assistant", "content": text, "refusal": refusal},
        }
        if request.body.get("logprobs"):
            choice["logprobs"] = {"content": [_token(t, request.body) for t in self.logprobs(request)]}
        asked = sum(map(len, request.texts)) // 4 + 100 * len(request.files)
        said = len(text or "") // 4
        return {
            "id": f"chatcmpl-{request.number}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": f"{request.body['model']}-2026-01-01",
            "system_fingerprint": "fp_test",
            "choices": [choice],
            "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
        }

    def _refuse(self, writer: asyncio.StreamWriter, why: str, status: int, message: str, **fields: Any) -> None:
        self.met[why] += 1
        _send(writer, status, {"error": {"message": message, "type": "invalid_request_error", **fields}})


def _token(logprobs: Mapping[str, float], body: Mapping[str, Any]) -> dict[str, Any]:
    """One token of an answer: the likeliest, with the alternatives that were asked for."""
    ranked = sorted(logprobs.items(), key=lambda entry: -entry[1])
    entries = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in ranked]
    return {**entries[0], "top_logprobs": entries[: body.get("top_logprobs", 0)]}


def _send(writer: asyncio.StreamWriter, status: int, body: Mapping[str, Any], headers: Mapping[str, str] = {}) -> None:
    _send_bytes(writer, status, "application/json", json.dumps(body).encode(), headers)


def _send_bytes(
    writer: asyncio.StreamWriter,
    status: int,
    media_type: str,
    content: bytes,
    headers: Mapping[str, str] = {},
    *,
    length: int | None = None,
) -> None:
    """Send a response; ``length`` is what it claims, if that is not true."""
    fields = {"Content-Type": media_type, "Content-Length": str(length or len(content)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode("latin-1") + content)


def serve(kind: type[OpenAIServer]) -> None:
    """Serve until interrupted, with the options of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--faults", type=json.loads, default={})
    parser.add_argument("--version")
    options = parser.parse_args()
    with kind(**vars(options), keep=False) as server, contextlib.suppress(KeyboardInterrupt):
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve(OpenAIServer)
