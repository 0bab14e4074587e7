"""What a server's reply is taken for, and the expected score of its token probabilities."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.models.rewards.batching import RowFailure
from workers.models.rewards.openai_logprobs import expected_score
from workers.models.served.replies import Alternative, Answer, Failure, Token, read_reply

SENT = ("model", "messages", "temperature", "max_tokens", "response_format")


def read(status: int, body: Any, **headers: str) -> Answer | Failure:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(status, headers, content, SENT)


def completion(message: Any = None, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": message or {"content": "fine"}, "finish_reason": "stop", **choice}]}


def failure(status: int, body: Any, **headers: str) -> Failure:
    result = read(status, body, **headers)
    assert isinstance(result, Failure)
    assert result.message
    return result


def test_an_answer_may_lack_all_but_its_text() -> None:
    assert read(200, {"choices": [{"message": {"content": "fine"}}]}) == Answer("fine", False)
    parts = [{"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}]
    assert read(200, completion({"content": parts})) == Answer("fine", False)
    usage = {"prompt_tokens": 7, "completion_tokens": None, "total_tokens": 9}
    reply = {**completion(finish_reason="length"), "usage": usage, "model": "m-1", "system_fingerprint": None}
    assert read(200, reply) == Answer("fine", True, prompt_tokens=7, model="m-1")


@pytest.mark.parametrize("tokens", [-1, 2**53, 10**40])
def test_a_number_of_tokens_that_no_answer_has_does_not_count(tokens: int) -> None:
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens}
    assert read(200, {**completion(), "usage": usage}) == Answer("fine", False)


@pytest.mark.parametrize(
    ("body", "kind", "again"),
    [
        (completion(finish_reason="content_filter"), "filtered", False),
        (completion({"content": "", "refusal": None}, finish_reason="SAFETY"), "filtered", False),
        (completion({"content": None, "refusal": "no"}), "refused", False),
        (completion({"content": " \n"}), "empty_reply", True),
        (completion({"content": None}), "empty_reply", True),
        (completion({"content": ""}, finish_reason="length"), "truncated", False),
        ({"choices": []}, "bad_reply", True),
        ({"error": {"message": "upstream", "code": 429}}, "rate_limited", True),
        ({"error": {"message": "upstream"}}, "server_error", True),
        ([1], "bad_reply", True),
        ({"choices": [{"message": {"content": 5}}]}, "bad_reply", True),
        (b"", "bad_reply", True),
        (b'{"choices": [{"mess', "bad_reply", True),
        (b"\xff\xfe", "bad_reply", True),
        (b"[" * 100_000, "bad_reply", True),
    ],
)
def test_a_reply_without_an_answer_has_a_kind(body: Any, kind: str, again: bool) -> None:
    found = failure(200, body)
    assert (found.kind, found.again) == (kind, again)


def test_a_page_is_called_a_page() -> None:
    assert "base_url" in failure(200, b"  <!DOCTYPE html><html></html>").message
    assert "base_url" in failure(200, b"hello", **{"content-type": "text/html"}).message


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": "content_filter", "message": "m"}, "filtered"),
        (400, {"innererror": {"code": "ResponsibleAIPolicyViolation"}}, "filtered"),
        (400, {"code": "data_inspection_failed"}, "filtered"),
        (403, {"message": "flagged by moderation"}, "filtered"),
        (401, {"message": "Incorrect API key"}, "unauthorized"),
        (403, {"message": "not allowed in your country"}, "unauthorized"),
        (402, {"message": "pay"}, "no_credit"),
        (429, {"code": "insufficient_quota"}, "no_credit"),
        (429, {"message": "slow down"}, "rate_limited"),
        (404, {"code": "model_not_found"}, "unknown_model"),
        (400, {"code": "model_not_found"}, "unknown_model"),
        (400, {"param": "temperature", "code": "unsupported_value"}, "bad_parameter"),
        (400, {"message": "Unsupported parameter: 'max_tokens'. Use another one."}, "bad_parameter"),
        (400, {"param": "messages.[0].content", "message": "Invalid image in 'messages'"}, "bad_request"),
        (400, {"message": "max_tokens is too large: this model's maximum context length is 4096"}, "too_large"),
        (400, {"message": "the safety of this image can't be processed"}, "bad_request"),
        (400, {"param": "image"}, "bad_request"),
        (413, {}, "too_large"),
        (408, {}, "timeout"),
        (504, {}, "timeout"),
        (500, {}, "server_error"),
        (302, {}, "bad_request"),
    ],
)
def test_a_status_has_a_kind(status: int, error: dict[str, Any], kind: str) -> None:
    assert failure(status, {"error": error}).kind == kind


def test_the_parameter_is_named_and_a_server_with_too_many_requests_says_so() -> None:
    assert "`temperature`" in failure(400, {"error": {"param": "temperature"}}).message
    limited = failure(429, {}, **{"retry-after": "7"})
    assert (limited.too_many, limited.in_trouble, limited.retry_after) == (True, True, 7.0)
    assert failure(503, {}).too_many
    assert not failure(500, {}).too_many


@pytest.mark.parametrize("body", [b"", b"<html>", b'"text"', b"[1]", b'{"error": "text"}', b'{"detail": [1]}', b"null"])
def test_an_error_of_any_form_has_a_kind(body: bytes) -> None:
    assert failure(500, body).kind == "server_error"
    assert failure(400, body).kind == "bad_request"


@given(status=st.integers(100, 599), content=st.binary(max_size=200))
def test_any_reply_is_an_answer_or_a_failure(status: int, content: bytes) -> None:
    assert isinstance(read_reply(status, {}, content, SENT), Failure)


NAMES = st.sampled_from(["choices", "message", "content", "error", "code", "refusal"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(status=st.sampled_from([200, 400, 429]), body=JSON)
def test_any_json_is_an_answer_or_a_failure(status: int, body: Any) -> None:
    result = read(status, body)
    assert isinstance(result, Failure) or result.text.strip()


# -- probabilities


def token(said: str, shares: dict[str, float]) -> Token:
    return Token(said, [Alternative(text, math.log(share)) for text, share in shares.items()])


def score(*tokens: Token, low: int = 0, high: int = 10) -> tuple[float, float]:
    found = expected_score(tokens, low, high)
    assert not isinstance(found, RowFailure), found
    return found[0].score, found[0].mass


def test_the_score_is_the_expected_value_of_the_numbers_that_are_told() -> None:
    value, mass = score(token("7", {"7": 0.6, " 7": 0.1, "10": 0.2, "Good": 0.1}))
    assert value == pytest.approx((7 * 0.7 + 10 * 0.2) / 0.9)
    assert mass == pytest.approx(0.9)


def test_a_number_of_two_tokens_shows_at_the_second_place() -> None:
    value, _ = score(token("1", {"1": 0.8, "9": 0.2}), token("0", {"0": 0.75, "\n": 0.25}))
    assert value == pytest.approx(0.8 * 0.75 * 10 + 0.8 * 0.25 * 1 + 0.2 * 9)


def test_shares_that_sum_to_more_than_one_leave_the_score_on_the_scale() -> None:
    value, mass = score(token("1", {"1": 1.0}), token("0", {"0": 1.0, "9": 1.0}), high=19)
    assert value == pytest.approx(14.5)
    assert mass == 1


def test_what_can_not_be_told_apart_is_no_score_unless_it_makes_no_difference() -> None:
    found = expected_score([token("9", {"9": 0.8, "1": 0.2})], 0, 10)
    assert isinstance(found, RowFailure)
    assert (found.kind, "score_range" in found.message) == ("off_scale", True)
    assert score(token("9", {"9": 0.999, "1": 0.001}))[0] == pytest.approx(9, abs=0.02)
    assert score(token("9", {"9": 0.8, "1": 0.2}), high=9)[0] == pytest.approx(0.8 * 9 + 0.2)


def test_a_reply_without_probabilities_is_a_bad_one() -> None:
    for tokens in ([], [Token("7")]):
        found = expected_score(tokens, 0, 10)
        assert isinstance(found, RowFailure)
        assert found.kind == "bad_reply"


def test_no_number_at_all_has_no_share() -> None:
    assert score(token("Good", {"Good": 1.0})) == (0.0, 0.0)
