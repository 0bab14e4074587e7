"""The key of a judge's server: who gets it, and what is said without showing it; a server that is not there."""

from __future__ import annotations

import pytest

from protocol.messages import ModelSpec
from tests.openai_server import OpenAIServer
from tests.workers.models.rewards.test_openai_judge import judging, request
from workers.interface import ModelError
from workers.models.rewards.openai_judge import OpenAIJudge

KEY = "k3y-of-the-tests"


def test_a_key_is_sent_and_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    with OpenAIServer(accepted=KEY) as server, judging(server, api_key_env="THE_KEY") as judge:
        judge(request())
    assert server.requests[0].key == KEY


@pytest.mark.parametrize("word", ["5", "score", "EMPTY"])
def test_a_word_that_stands_for_a_key_changes_no_answer(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("THE_KEY", word)
    reply = 'EMPTY of faults: {"score": 5}'
    with OpenAIServer(answer=lambda _: reply) as server, judging(server, api_key_env="THE_KEY") as judge:
        (judgement,) = judge(request(), max_retries=0)
    assert (judgement.score, judgement.response) == (5, reply)


def test_a_key_that_the_server_refuses_is_reported_while_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    with (
        OpenAIServer(accepted="another") as server,
        pytest.raises(ModelError, match="401") as caught,
        judging(server, api_key_env="THE_KEY"),
    ):
        pass
    assert caught.value.kind == "unauthorized"
    assert KEY not in str(caught.value)


def test_a_judge_elsewhere_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match=r"OPENAI_API_KEY .* is not set"):
        OpenAIJudge(ModelSpec(role="reward", type="openai", name="judge"), "cpu").load("device")
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n{KEY}")
    with pytest.raises(ModelError, match="holds no key") as caught:
        OpenAIJudge(ModelSpec(role="reward", type="openai", name="judge"), "cpu").load("device")
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_reported_while_loading() -> None:
    with OpenAIServer() as server:
        pass
    with pytest.raises(ModelError, match="is the server up") as caught, judging(server):
        pass
    assert caught.value.kind == "load"


def test_the_key_is_not_sent_to_where_a_server_redirects_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    with (
        OpenAIServer() as other,
        OpenAIServer(redirect=other.base_url) as server,
        judging(server, api_key_env="THE_KEY") as judge,
        pytest.raises(ModelError, match="HTTP 307"),
    ):
        judge(*(request(seed) for seed in range(5)))
    assert other.count == 0
