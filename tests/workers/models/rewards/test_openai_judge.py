"""The judge behind a server, against a real HTTP server: what it asks, and what each kind of reply becomes."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image, ImageChops

from protocol.messages import ImagePart, Judgement, ModelSpec, Prompt, Question, TextPart
from tests.openai_request import FaultKind, Request
from tests.openai_server import OpenAIServer
from workers.interface import ModelError, QuestionImage, ScoreRequest
from workers.models.rewards.openai_judge import OpenAIJudge

PROMPT = Prompt(system="", user="how good?")


def picture(seed: int = 0, size: tuple[int, int] = (24, 16), mode: str = "RGB") -> Image.Image:
    return Image.frombytes("RGB", size, hashlib.shake_256(bytes([seed])).digest(size[0] * size[1] * 3)).convert(mode)


def request(seed: int = 0, **fields: Any) -> ScoreRequest:
    images = (fields.pop("image", picture(seed)), fields.pop("source", None))
    files = [encoded(image) for image in images if image is not None]
    return ScoreRequest(
        None,  # type: ignore[arg-type] # see StreamingReward.takes_files
        None,
        fields.pop("prompt", PROMPT),
        f"c/{seed}",
        f"{seed:064x}",
        files=files,
        **fields,
    )


def encoded(image: Image.Image) -> bytes:
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue()


@contextmanager
def judging(server: OpenAIServer, **params: Any) -> Iterator[Callable[..., list[Judgement]]]:
    """A loaded judge; call it with requests and the run's parameters."""
    spec = ModelSpec(role="reward", type="openai", name="judge", params={"base_url": server.base_url, **params})
    judge = OpenAIJudge(spec, "cpu")
    judge.prepare()
    judge.load("device")

    def judge_all(*requests: ScoreRequest, **parameters: Any) -> list[Judgement]:
        defaults = {"request_timeout_seconds": 20.0, "max_retries": 2}
        return list(judge.stream(requests, defaults | parameters, lambda: None).result(60).judgements)

    try:
        yield judge_all
    finally:
        judge.close()


def failing(kind: FaultKind, times: int = 1) -> Callable[[Request], FaultKind | None]:
    return lambda request: kind if request.attempt < times else None


# -- prompts


def test_the_judge_gets_the_prompts_and_the_edit_pixel_by_pixel() -> None:
    edit = picture(3)
    with OpenAIServer(models=["judge"]) as server, judging(server) as judge:
        (judgement,) = judge(request(3, prompt=Prompt(system="be strict", user="how good?")))
    (asked,) = server.requests
    assert asked.texts == ["be strict", "how good?"]
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]
    assert not ImageChops.difference(asked.images[0], edit).getbbox()
    assert asked.files[0][0] == "image/png"
    assert asked.body["model"] == "judge"
    assert (asked.body["temperature"], asked.body["max_tokens"]) == (0.0, 1024)
    said = json.loads(server.answer(asked))["score"]
    assert (judgement.score, judgement.method) == (said, "json")
    assert judgement.usage is not None
    assert (judgement.usage.requests, judgement.usage.model) == (1, "judge-2026-01-01")
    assert judgement.usage.system_fingerprint == "fp_test"
    assert judgement.usage.prompt_tokens > 100


def test_the_source_is_shown_before_the_edit_and_transparency_on_white() -> None:
    source, edit = picture(1, mode="RGBA"), Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    with OpenAIServer() as server, judging(server) as judge:
        judge(request(image=edit, source=source), compare_with_original=True)
    first, second = server.requests[0].images
    assert not ImageChops.difference(first, source.convert("RGB")).getbbox()
    assert second.getpixel((0, 0)) == (255, 255, 255)


def test_images_are_sent_as_the_run_wants_them() -> None:
    large = picture(2, (100, 40))
    with OpenAIServer() as server, judging(server) as judge:
        judge(request(image=large), image_format="jpeg", max_image_side=50)
    (image,) = server.requests[0].images
    assert (image.format, image.size) == ("JPEG", (50, 20))


def test_aspects_are_requests_of_their_own_and_what_is_not_set_is_not_sent() -> None:
    prompts = [Prompt(aspect=name, system="", user=f"{name}?") for name in ("a", "b")]
    parameters = {
        "temperature": None,
        "max_new_tokens": None,
        "parameters": {"top_p": 0.5},
    }
    with OpenAIServer() as server, judging(server) as judge:
        one, two = judge(*(request(1, prompt=prompt) for prompt in prompts), reply_format="json_schema", **parameters)
    assert [one.aspect, two.aspect] == ["a", "b"]
    body = server.requests[0].body
    assert body.keys() == {"model", "messages", "top_p", "response_format"}
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["score"] == {"type": "number", "minimum": 0.0, "maximum": 10.0}


def test_an_unreadable_reply_is_asked_about_once_more() -> None:
    def answer(request: Request) -> str:
        return "I like it." if len(request.body["messages"]) == 1 else '{"score": 4}'

    with OpenAIServer(answer=answer) as server, judging(server) as judge:
        (judgement,) = judge(request())
    assert (judgement.score, judgement.usage and judgement.usage.requests) == (4.0, 2)
    assert server.requests[1].texts[-2] == "I like it."
    assert server.requests[1].files == server.requests[0].files


# -- questions


def test_a_question_is_asked_part_by_part_and_its_answer_is_given_as_it_is() -> None:
    parts: list[TextPart | ImagePart] = [
        TextPart(text="before"),
        ImagePart(image="source"),
        TextPart(text="after"),
        ImagePart(image="edit", detail="high"),
    ]
    shown = [QuestionImage(b"one", "image/jpeg"), QuestionImage(b"two", "image/png")]
    question = Question(name="q", system="judge", parts=parts)
    asked = request(image=None, prompt=Prompt(aspect="q", system="", user=""), question=question, shown=shown)
    with OpenAIServer(answer=lambda _: " raw {text} ") as server, judging(server) as judge:
        (judgement,) = judge(asked, reply_format="json_object")
    body = server.requests[0].body
    system, user = body["messages"]
    assert system == {"role": "system", "content": "judge"}
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text", "image_url"]
    assert user["content"][3]["image_url"]["detail"] == "high"
    assert server.requests[0].files == [("image/jpeg", b"one"), ("image/png", b"two")]
    assert body["response_format"] == {"type": "json_object"}
    assert (judgement.aspect, judgement.response, judgement.score, judgement.kind) == ("q", " raw {text} ", None, None)


def test_the_answer_to_a_question_that_is_cut_off_is_read_by_the_run_and_says_so() -> None:
    question = Question(name="q", parts=[TextPart(text="?")])
    asked = request(image=None, prompt=Prompt(aspect="q", system="", user=""), question=question)
    with OpenAIServer(fault=lambda _: "truncated") as server, judging(server) as judge:
        (judgement,) = judge(asked)
    assert (judgement.kind, bool(judgement.response)) == (None, True)
    assert "max_new_tokens" in (judgement.message or "")


# -- logits


def test_a_score_by_logits_is_the_expected_value_over_the_scale() -> None:
    logprobs = [{"7": math.log(0.5), "8": math.log(0.25), " 8": math.log(0.1), "The": math.log(0.15)}]
    with OpenAIServer(logprobs=lambda _: logprobs) as server, judging(server) as judge:
        (judgement,) = judge(request(), scoring="logits")
    assert judgement.score == pytest.approx((7 * 0.5 + 8 * 0.35) / 0.85)
    assert judgement.method == "logits"
    body = server.requests[0].body
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 2)


def test_a_score_by_logits_needs_its_share_of_the_probability() -> None:
    with OpenAIServer(logprobs=lambda _: [{"The": -0.01, "7": -5.0}]) as server, judging(server) as judge:
        (judgement,) = judge(request(), scoring="logits")
    assert (judgement.kind, judgement.score) == ("off_scale", None)
    assert "'The'" in (judgement.message or "")


# -- failures


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("filtered", "filtered"),
        ("filtered_400", "filtered"),
        ("refused", "refused"),
        ("truncated", "truncated"),
    ],
)
def test_a_failure_that_would_come_again_has_its_kind_at_once(kind: FaultKind, expected: str) -> None:
    answer = "x" * 40  # half of it has no score
    with OpenAIServer(fault=lambda _: kind, answer=lambda _: answer) as server, judging(server) as judge:
        (judgement,) = judge(request())
    assert (judgement.score, judgement.kind) == (None, expected)
    assert judgement.message
    assert server.count == (2 if kind == "truncated" else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rate_limit", "rate_limited"),
        ("server_error", "server_error"),
        ("overloaded", "server_error"),
        ("reset", "server_error"),
        ("half", "server_error"),
        ("half_json", "bad_reply"),
        ("html", "bad_reply"),
        ("huge", "bad_reply"),
        ("compressed", "bad_reply"),
        ("empty", "empty_reply"),
    ],
)
def test_a_failure_that_may_pass_is_tried_again_and_named_in_the_end(kind: FaultKind, expected: str) -> None:
    with OpenAIServer(fault=failing(kind, 1)) as server, judging(server) as judge:
        (judgement,) = judge(request(), max_retries=1)
        assert judgement.score is not None, "it passed"
        assert judgement.usage is not None
        assert judgement.usage.requests == 2
    with OpenAIServer(fault=lambda _: kind) as server, judging(server) as judge:
        (judgement,) = judge(request(), max_retries=1)
    assert (judgement.score, judgement.kind) == (None, expected)
    assert (judgement.message or "").endswith("(request 2, the last that max_retries allows)")
    assert server.count == 2


def test_a_server_that_never_answers_is_a_timeout() -> None:
    with OpenAIServer(fault=lambda _: "never") as server, judging(server) as judge:
        (judgement,) = judge(request(), max_retries=0, request_timeout_seconds=1)
    assert judgement.kind == "timeout"


@pytest.mark.parametrize("kind", ["rate_limit_seconds", "rate_limit_date"])
def test_a_server_is_not_asked_before_the_time_that_it_names(kind: FaultKind) -> None:
    with OpenAIServer(fault=failing(kind), retry_after=2) as server, judging(server) as judge:
        (judgement,) = judge(request())
    first, second = server.requests
    assert judgement.score is not None
    assert second.seconds - first.seconds > (1.9 if kind == "rate_limit_seconds" else 0.9)


@pytest.mark.parametrize(
    ("told", "expected", "named"),
    [
        ({"refused_parameters": ["temperature"]}, "bad_parameter", "temperature"),
        ({"models": ["another"]}, "unknown_model", "`judge` does not exist"),
    ],
)
def test_what_would_fail_every_request_is_named_at_the_first(told: Any, expected: str, named: str) -> None:
    with OpenAIServer(**told) as server, judging(server) as judge:
        with pytest.raises(ModelError, match=named) as caught:
            judge(*(request(seed) for seed in range(20)))
        assert caught.value.kind == expected
        assert server.count == 1, "nothing more was spent"
        if expected == "bad_parameter":
            assert judge(request(), temperature=None)[0].score is not None, "another run may ask otherwise"


def test_a_server_that_accepts_no_request_is_not_asked_a_thousand_times() -> None:
    with OpenAIServer(fault=lambda _: "bad_request") as server, judging(server) as judge:
        with pytest.raises(ModelError, match="HTTP 400") as caught:
            judge(*(request(seed) for seed in range(20)))
        assert (caught.value.kind, server.count) == ("not_accepted", 3)


def test_no_more_requests_are_in_flight_than_the_run_allows() -> None:
    with OpenAIServer(latency=0.02) as server, judging(server) as judge:
        judgements = judge(*(request(seed) for seed in range(40)), max_concurrency=3)
    assert all(judgement.score is not None for judgement in judgements)
    assert server.most_in_flight == 3


def test_runs_with_different_settings_work_at_the_same_time() -> None:
    with OpenAIServer(latency=0.05) as server, judging(server) as judge, ThreadPoolExecutor(3) as threads:
        asking = [
            threads.submit(judge, *(request(number * 50 + seed) for seed in range(40)), temperature=number / 10)
            for number in range(3)
        ]
        judgements = [judgement for one in asking for judgement in one.result()]
        assert all(judgement.score is not None for judgement in judgements)
        assert server.most_in_flight > 8
        with pytest.raises(ModelError, match="json_schema"):
            judge(request(question=Question(name="q", parts=[TextPart(text="?")])), reply_format="json_schema")
        assert judge(request())[0].score is not None


def test_a_judge_finds_out_how_many_requests_a_server_takes() -> None:
    # Far longer than busy cores take to pass a request on: else those that wait for the cores hide how many there are.
    with OpenAIServer(latency=0.25, limit=8) as server, judging(server) as judge:
        judgements = judge(*(request(seed) for seed in range(200)), max_concurrency=64, max_retries=20)
    assert all(judgement.score is not None for judgement in judgements)
    assert server.met["limit"] < 30
