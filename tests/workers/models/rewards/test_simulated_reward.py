"""The simulated reward: scores that hang on the image's bytes alone, and times per batch and per item."""

from __future__ import annotations

import dataclasses
import time

import pytest
from PIL import Image

from tests.workers.simulated_requests import no_progress, score_request, spec_of
from workers.interface import ModelError
from workers.models.rewards.simulated_reward import SimulatedReward


@pytest.fixture
def reward() -> SimulatedReward:
    reward = SimulatedReward(spec_of("reward"), "cpu")
    reward.load("device")
    return reward


def scores_of(reward: SimulatedReward, count: int, **parameters: object) -> list[float]:
    requests = [score_request(f"a/{n}", image=Image.new("RGB", (2, 2), (n % 256, n // 256, 0))) for n in range(count)]
    scores = reward.score(requests, {"latency_ms": 0, **parameters}, no_progress)
    assert all(judgement.method == "simulated" for judgement in scores.judgements)
    return [judgement.score for judgement in scores.judgements if judgement.score is not None]


def test_scores_are_spread_over_the_whole_range(reward: SimulatedReward) -> None:
    scores = scores_of(reward, 500)
    assert len(scores) == 500
    assert 0 <= min(scores) < 0.2
    assert 9.8 < max(scores) <= 10
    assert 4.5 < sum(scores) / len(scores) < 5.5
    assert all(round(score, 2) == score for score in scores)


def test_scores_follow_the_score_range(reward: SimulatedReward) -> None:
    scores = scores_of(reward, 300, score_range=[1, 5])
    assert 1 <= min(scores) < 1.1
    assert 4.9 < max(scores) <= 5
    tenths = scores_of(reward, 50, score_range=[0, 0.004])
    assert all(0 <= score <= 0.004 for score in tenths)


def test_a_score_hangs_on_the_image_alone(reward: SimulatedReward) -> None:
    image = Image.new("RGB", (5, 5), "red")
    requests = [score_request("a/1", image=image), score_request("b/2", image=image, aspect="light")]
    first, second = reward.score(requests, {"latency_ms": 0}, no_progress).judgements
    (alone,) = (
        SimulatedReward(spec_of("reward"), "cuda:0").score(requests[:1], {"latency_ms": 0}, no_progress).judgements
    )
    assert first.score == second.score == alone.score
    assert (first.aspect, second.aspect) == ("", "light")


CHANGE = {"latency_ms": 0, "prefers": "change", "compare_with_original": True}


def change_of(reward: SimulatedReward, edit: Image.Image, source: Image.Image, **parameters: object) -> float | None:
    request = dataclasses.replace(score_request(image=edit), source=source)
    (judgement,) = reward.score([request], {**CHANGE, **parameters}, no_progress).judgements
    return judgement.score


def test_one_that_prefers_change_measures_how_much_the_pixels_differ_from_the_sources(reward: SimulatedReward) -> None:
    grey = Image.new("RGB", (4, 4), (100, 100, 100))
    assert change_of(reward, grey, grey) == 0.0
    # One colour of three differs by 51 of 255, then all by 102, in half of the pixels.
    assert change_of(reward, Image.new("RGB", (4, 4), (151, 100, 100)), grey) == 0.67
    half = grey.copy()
    half.paste((202, 202, 202), (0, 0, 4, 2))
    assert change_of(reward, half, grey) == 2.0
    assert change_of(reward, half, grey, score_range=[1, 5]) == 1.8
    assert change_of(reward, Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "white")) == 10.0
    assert change_of(reward, Image.new("RGB", (8, 2), (100, 100, 100)), grey) == 0.0, "of another shape"
    hidden = Image.new("RGBA", (4, 4), (100, 100, 100, 0))
    assert change_of(reward, hidden, grey) == change_of(reward, Image.new("RGB", (4, 4), "white"), grey)


def test_one_that_prefers_change_can_not_do_without_the_source(reward: SimulatedReward) -> None:
    with pytest.raises(ModelError, match="needs compare_with_original: true") as caught:
        reward.score([score_request()], CHANGE, no_progress)
    assert caught.value.kind == "config"
    with pytest.raises(ModelError, match="prefers"):
        reward.score([score_request()], {"prefers": "red"}, no_progress)


def test_the_batch_is_worked_on_at_once(reward: SimulatedReward) -> None:
    requests = [score_request(f"a/{n}") for n in range(5)]
    assert list(reward.score(requests, {"latency_ms": 0}, no_progress).batch_sizes) == [5]


def test_the_device_is_held_once_per_batch_and_for_each_item(reward: SimulatedReward) -> None:
    held = []
    calls: list[tuple[int, int]] = []
    for _ in range(4):
        started = time.monotonic()
        reward.score(
            [score_request(f"a/{n}") for n in range(3)],
            {"latency_ms": 40, "per_item_ms": 10, "batch_size": 4},
            lambda *call: calls.append(call),
        )
        held.append(time.monotonic() - started)
    assert 0.070 <= min(held) < 0.090
    assert calls[:2] == [(1, 2), (2, 2)]


def test_a_fault_of_one_item_is_that_of_its_batch(reward: SimulatedReward) -> None:
    requests = [score_request("a/1"), score_request("a/2")]
    with pytest.raises(ModelError) as caught:
        reward.score(requests, {"latency_ms": 0, "faults": {"oom": ["a/2"]}}, no_progress)
    assert caught.value.kind == "oom"
    with pytest.raises(RuntimeError):
        reward.score(requests, {"latency_ms": 0, "faults": {"error": 1}}, no_progress)


def test_a_wrong_range_is_named(reward: SimulatedReward) -> None:
    with pytest.raises(ModelError, match=r"score_range is \[10.0, 0.0\]") as caught:
        reward.score([score_request()], {"score_range": [10, 0]}, no_progress)
    assert caught.value.kind == "config"
