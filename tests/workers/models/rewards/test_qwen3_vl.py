"""The reward on the real classes, tiny: what it sees, how its replies are read, and what happens when it fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.interface import ScoreRequest
from workers.models.rewards.conversations import EDIT_LABEL, SOURCE_LABEL, first_question
from workers.models.rewards.judgements import ASKED_AGAIN
from workers.models.rewards.parameters import read_settings
from workers.models.rewards.qwen3_vl import Qwen3VLReward


@pytest.fixture(scope="module")
def reward(tiny_reward_path: Path) -> Qwen3VLReward:
    """Random weights: its replies are noise."""
    return loaded(tiny_reward_path)


@pytest.fixture(scope="module")
def trained(tiny_trained_reward_path: Path) -> Qwen3VLReward:
    """Answers with JSON, and with the brightness of what it sees."""
    return loaded(tiny_trained_reward_path)


# -- what the model sees


def pixels(model: Qwen3VLReward, request: ScoreRequest, parameters: Mapping[str, Any] = LOGITS) -> Any:
    [prepared] = model.prepare_batch([request], parameters)
    assert prepared.row is not None
    return prepared.row.patches.values


def test_what_the_model_sees_is_the_edit(reward: Qwen3VLReward) -> None:
    import torch

    black, white = pixels(reward, asked(grey(0))), pixels(reward, asked(grey(255)))
    assert torch.all(black == -1)
    assert torch.all(white == 1)


def test_the_score_follows_the_edit_and_not_its_place_in_the_batch(reward: Qwen3VLReward) -> None:
    images = [grey(0), grey(128), grey(255)]
    forth = [j.score for j in score(reward, [asked(image) for image in images], LOGITS).judgements]
    back = [j.score for j in score(reward, [asked(image) for image in reversed(images)], LOGITS).judgements]
    assert len(set(forth)) == 3
    assert forth == pytest.approx(back[::-1], abs=1e-4)


def test_what_is_transparent_is_seen_as_white(reward: Qwen3VLReward) -> None:
    import torch

    hidden = Image.new("RGBA", (96, 80), (200, 0, 0, 0))
    assert torch.equal(pixels(reward, asked(hidden)), pixels(reward, asked(grey(255))))


def test_source_and_edit_are_shown_in_that_order_each_with_its_label(reward: Qwen3VLReward) -> None:
    import torch

    parameters = {**LOGITS, "compare_with_original": True}
    request = asked(grey(255), source=grey(0))
    seen = pixels(reward, request, parameters)
    half = len(seen) // 2
    assert torch.all(seen[:half] == -1)
    assert torch.all(seen[half:] == 1)
    content = first_question(request, read_settings(parameters)).turns[-1]["content"]
    assert [part.get("text", part["type"]) for part in content][:4] == [SOURCE_LABEL, "image", EDIT_LABEL, "image"]


def test_the_source_is_not_shown_unless_it_is_to_be_compared(reward: Qwen3VLReward) -> None:
    import torch

    assert torch.equal(pixels(reward, asked(grey(9), source=grey(200))), pixels(reward, asked(grey(9))))


def test_a_run_decides_how_many_pixels_are_seen(reward: Qwen3VLReward) -> None:
    patches = [
        len(pixels(reward, asked(grey(9, (400, 400))), {**LOGITS, "max_pixels": limit}))
        for limit in (64 * 64, 128 * 128, 64 * 64)
    ]
    assert patches == [16, 64, 16]
    assert len(pixels(reward, asked(grey(9, (32, 32))), {**LOGITS, "min_pixels": 128 * 128})) == 64


# -- batches


def test_aspects_come_back_in_order_and_no_pass_is_larger_than_the_batch_size(reward: Qwen3VLReward) -> None:
    requests = [asked(grey(level), aspect=aspect) for level in (0, 80, 200) for aspect in ("一致", "真实")]
    scores = score(reward, requests, {"scoring": "logits", "batch_size": 4})
    assert [judgement.aspect for judgement in scores.judgements] == ["一致", "真实"] * 3
    assert list(scores.batch_sizes) == [4, 2]


class SmallMemory(Qwen3VLReward):
    """A model on a device that has no room for more than two rows."""

    room = 2

    def _forward(self, function: Any, inputs: Mapping[str, Any], *arguments: Any) -> Any:
        import torch

        if len(inputs["input_ids"]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super()._forward(function, inputs, *arguments)


@pytest.mark.parametrize("parameters", [LOGITS, {"max_new_tokens": 2, "batch_size": 8}])
def test_a_batch_that_does_not_fit_is_made_smaller(
    tiny_reward_path: Path, reward: Qwen3VLReward, parameters: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    requests = [asked(grey(40 * index)) for index in range(5)]
    small = loaded(tiny_reward_path, SmallMemory)
    scores = score(small, requests, parameters)
    assert list(scores.batch_sizes)[:3] == [2, 2, 1]
    assert "out of memory with 5 rows" in caplog.text
    first_warnings = caplog.text.count("out of memory")
    again = score(small, requests, parameters)
    assert list(again.batch_sizes)[:3] == [2, 2, 1]
    assert caplog.text.count("out of memory") == first_warnings, "later batches begin with the size that fitted"
    small.place("device")
    score(small, requests, parameters)
    assert caplog.text.count("out of memory") == 2 * first_warnings, "there may be more memory after a move"
    roomy = score(reward, requests, {**parameters, "batch_size": 2}).judgements
    assert [(j.score, j.kind, j.response) for j in scores.judgements] == [(j.score, j.kind, j.response) for j in roomy]


def test_a_single_row_that_does_not_fit_says_so(tiny_reward_path: Path) -> None:
    small = loaded(tiny_reward_path, SmallMemory)
    small.room = 0  # type: ignore[attr-defined]  # of SmallMemory
    [judgement] = score(small, [asked(grey(0))], LOGITS).judgements
    assert (judgement.score, judgement.kind) == (None, "oom")


@pytest.mark.parametrize("parameters", [LOGITS, {"max_new_tokens": 2, "batch_size": 8}])
def test_a_bad_item_fails_alone(reward: Qwen3VLReward, parameters: dict[str, Any]) -> None:
    requests = [asked(grey(0)), asked(grey(90), user="看<|image_pad|>这里"), asked(grey(250))]
    first, bad, last = score(reward, requests, parameters).judgements
    assert bad.kind == "error"
    assert "<|image_pad|>" in str(bad.message)
    assert [first.response, last.response] == [
        score(reward, [request], parameters).judgements[0].response for request in (requests[0], requests[2])
    ]


def test_a_comparison_without_a_source_fails_by_name(reward: Qwen3VLReward) -> None:
    [judgement] = score(reward, [asked(grey(0))], {**LOGITS, "compare_with_original": True}).judgements
    assert judgement.kind == "error"
    assert "物理/1" in str(judgement.message)


def test_there_is_progress_after_every_token_and_every_pass(reward: Qwen3VLReward) -> None:
    steps: list[tuple[int, int]] = []
    requests = [asked(grey(0)), asked(grey(200))]
    reward.score(requests, {"scoring": "logits", "batch_size": 1}, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    steps.clear()
    reward.score(requests[:1], {"max_new_tokens": 5}, lambda *step: steps.append(step))
    assert steps == [(step, 5 if step <= 5 else 10) for step in range(1, 11)]  # asked twice


# -- replies


def test_noise_is_an_unreadable_reply_with_what_was_said(reward: Qwen3VLReward) -> None:
    for judgement in score(reward, [asked(grey(0)), asked(grey(200))], {"max_new_tokens": 6}).judgements:
        assert (judgement.score, judgement.method, judgement.kind) == (None, None, "unreadable_reply")
        assert judgement.message == "the reply states no score"
        assert len(str(judgement.response).split(ASKED_AGAIN)) == 2


def test_replies_are_read_and_follow_what_is_seen(trained: Qwen3VLReward) -> None:
    levels = (10, 130, 250)
    scores = score(trained, [asked(grey(level)) for level in levels], {"batch_size": 3, "max_new_tokens": 32})
    assert list(scores.batch_sizes) == [3]
    for judgement, level in zip(scores.judgements, levels, strict=True):
        assert judgement.method == "json"
        assert judgement.score is not None
        assert abs(judgement.score - level / 25.5) <= 2
        assert json.loads(str(judgement.response))["score"] == judgement.score


class MumblesFirst(Qwen3VLReward):
    """A model that answers the first question beside the point."""

    def _forward(self, function: Any, inputs: Mapping[str, Any], *arguments: Any) -> Any:
        replies = super()._forward(function, inputs, *arguments)
        self.asked = getattr(self, "asked", 0) + 1
        return [type(reply)("图像不错。", cut_off=False) for reply in replies] if self.asked == 1 else replies


def test_an_unreadable_reply_is_asked_for_again(tiny_trained_reward_path: Path) -> None:
    model = loaded(tiny_trained_reward_path, MumblesFirst)
    scores = score(model, [asked(grey(10)), asked(grey(250))], {"batch_size": 2, "max_new_tokens": 32})
    assert list(scores.batch_sizes) == [2, 2]
    for judgement in scores.judgements:
        assert judgement.method == "json"
        assert str(judgement.response).startswith("图像不错。" + ASKED_AGAIN + "{")


def test_sampling_settings_of_a_checkpoint_are_without_effect(tiny_reward_path: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_reward_path, tmp_path / "model")
    config = tmp_path / "model" / "generation_config.json"
    sampling = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20}
    config.write_text(json.dumps({**json.loads(config.read_text()), **sampling}))
    model = loaded(tmp_path / "model")
    replies = [score(model, [asked(grey(50))], {"max_new_tokens": 8}).judgements[0].response for _ in range(2)]
    assert replies[0] == replies[1]
