"""The judge's server for tests does what it says: every other test of judges relies on it."""

from __future__ import annotations

import base64
import http.client
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.openai_request import FOR_GOOD
from tests.openai_server import OpenAIServer

BODY: dict[str, Any] = {"model": "judge", "messages": [{"role": "user", "content": "?"}]}


def ask(server: OpenAIServer, body: Mapping[str, Any] = BODY, key: str = "none") -> tuple[int, Any, Mapping[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content) if is_json else content, dict(response.headers)
    finally:
        connection.close()


def test_an_answer_is_decided_by_the_request() -> None:
    with OpenAIServer() as server, OpenAIServer() as other:
        replies = [ask(one)[1]["choices"][0]["message"]["content"] for one in (server, server, other)]
    assert len(set(replies)) == 1
    assert 0 <= json.loads(replies[0])["score"] <= 10
    assert [request.attempt for request in server.requests] == [0, 1]


def test_images_and_texts_are_kept_in_order() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 3), (1, 2, 3)).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    parts = [{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "system", "content": "a"}, {"role": "user", "content": parts}]
    with OpenAIServer() as server:
        ask(server, {**BODY, "messages": messages})
    (request,) = server.requests
    assert request.texts == ["a", "b"]
    assert request.files == [("image/png", buffer.getvalue())]
    assert request.images[0].getpixel((4, 2)) == (1, 2, 3)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("filtered_400", 400), ("rate_limit", 429), ("server_error", 500), ("overloaded", 503), ("html", 200)],
)
def test_a_fault_has_its_status(kind: Any, status: int) -> None:
    with OpenAIServer(fault=lambda _: kind) as server:
        assert ask(server)[0] == status
    assert server.met == {kind: 1}


@pytest.mark.parametrize("kind", ["reset", "half", "half_json"])
def test_a_broken_reply_cannot_be_read(kind: Any) -> None:
    with OpenAIServer(fault=lambda _: kind) as server, pytest.raises((OSError, http.client.HTTPException, ValueError)):
        ask(server)


def test_a_server_can_say_when_to_come_back() -> None:
    with OpenAIServer(fault=lambda _: "rate_limit_seconds", retry_after=3) as server:
        assert ask(server)[2]["Retry-After"] == "3"
    with OpenAIServer(fault=lambda _: "rate_limit_date") as server:
        assert ask(server)[2]["Retry-After"].endswith("GMT")


def test_an_answer_can_be_filtered_refused_empty_or_cut_off() -> None:
    kinds = iter(["filtered", "refused", "empty", "truncated"])
    with OpenAIServer(fault=lambda _: next(kinds)) as server:  # type: ignore[arg-type] # all are kinds of faults
        filtered, refused, empty, truncated = (ask(server)[1]["choices"][0] for _ in range(4))
    assert filtered["finish_reason"] == "content_filter"
    assert refused["message"]["refusal"]
    assert refused["message"]["content"] is None
    assert empty["message"]["content"] == ""
    assert truncated["finish_reason"] == "length"


def test_faults_by_chance_are_the_same_in_every_run() -> None:
    bodies = [{**BODY, "number": number} for number in range(40)]
    met = []
    for _ in range(2):
        with OpenAIServer(faults={"empty": 0.3, "refused": 0.3}) as server:
            choices = [ask(server, body)[1]["choices"][0]["message"] for body in bodies]
            again = [ask(server, body)[1]["choices"][0]["message"] for body in bodies]
        met.append(server.met)
        assert [bool(one["refusal"]) for one in choices] == [bool(one["refusal"]) for one in again]
    assert "refused" in FOR_GOOD
    assert met[0] == met[1]
    assert min(met[0].values()) > 4


def test_what_is_not_allowed_is_refused() -> None:
    with OpenAIServer(accepted="s3", models=["judge"], refused_parameters=["temperature"]) as server:
        statuses = [
            ask(server)[0],
            ask(server, {**BODY, "model": "other"}, "s3")[0],
            ask(server, {**BODY, "temperature": 0}, "s3")[0],
            ask(server, key="s3")[0],
        ]
    assert statuses == [401, 404, 400, 200]


def test_more_requests_than_the_limit_are_refused() -> None:
    with OpenAIServer(limit=2, latency=0.2) as server, ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: ask(server)[0], range(4)))
    assert sorted(statuses) == [200, 200, 429, 429]
    assert server.most_in_flight > 2


def test_the_probabilities_of_tokens_are_given_where_asked_for() -> None:
    with OpenAIServer() as server:
        choice = ask(server, {**BODY, "logprobs": True, "top_logprobs": 3})[1]["choices"][0]
    (token,) = choice["logprobs"]["content"]
    assert token["top_logprobs"][0]["logprob"] == token["logprob"]
    assert len(token["top_logprobs"]) == 3
