"""Rows that are prepared one by one, and ahead, are what the processor makes of the whole batch at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.workers.models.rewards.reward_requests import asked, grey, loaded, score
from workers.interface import ScoreRequest
from workers.models.rewards.conversations import Conversation, first_question, second_question
from workers.models.rewards.inputs import PreparedRequest, TokenRow
from workers.models.rewards.logits import expected_scores, number_logits, scale_tokens
from workers.models.rewards.parameters import RewardSettings, read_settings
from workers.models.rewards.qwen3_vl import Qwen3VLReward


@pytest.fixture(scope="module")
def reward(tiny_reward_path: Path) -> Qwen3VLReward:
    return loaded(tiny_reward_path)


def requests() -> list[ScoreRequest]:
    """Edits of several sizes and modes, with prompts of several lengths."""
    round_, straight = Image.radial_gradient("L"), Image.linear_gradient("L")
    varied = Image.merge("RGB", [round_, straight, straight.rotate(90)]).resize((90, 64))
    clear = Image.merge("RGBA", [*varied.split(), straight.resize(varied.size)])
    edits = [varied, clear, varied.resize((300, 200)), varied.resize((40, 500)), grey(70, (64, 64))]
    return [
        asked(edit, user="请评估编辑后的图像质量。" * (1 + 7 * number % 11), source=varied.rotate(90, expand=True))
        for number, edit in enumerate(edits)
    ]


def as_the_processor_has_it(
    reward: Qwen3VLReward, conversations: Sequence[Conversation], settings: RewardSettings
) -> Mapping[str, Any]:
    processor = reward._processor(settings)
    texts = [
        processor.apply_chat_template(list(one.turns), tokenize=False, add_generation_prompt=True)
        for one in conversations
    ]
    images = [image for one in conversations for image in one.images]
    inputs = processor(text=texts, images=images, padding=True, padding_side="left", return_tensors="pt")
    return dict(inputs)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    import torch

    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def rows_of(reward: Qwen3VLReward, prepared: Sequence[PreparedRequest], settings: RewardSettings) -> Sequence[TokenRow]:
    return [reward._first_row(request, settings) for request in prepared]


@pytest.mark.parametrize("compare", [False, True])
@pytest.mark.parametrize("pixels", [{}, {"min_pixels": 64 * 64, "max_pixels": 96 * 96}])
def test_rows_put_together_are_the_processors_own_batch_to_the_bit(
    reward: Qwen3VLReward, compare: bool, pixels: dict[str, int]
) -> None:
    parameters = {"compare_with_original": compare, **pixels}
    settings = read_settings(parameters)
    prepared = reward.prepare_batch(requests(), parameters)
    first = [first_question(request, settings) for request in requests()]
    assert same(
        reward._inputs(rows_of(reward, prepared, settings), settings), as_the_processor_has_it(reward, first, settings)
    )
    again = [reward._second_row(request, "图像不错。", settings) for request in prepared]
    second = [second_question(question, "图像不错。", settings) for question in first]
    assert same(reward._inputs(again, settings), as_the_processor_has_it(reward, second, settings))
    assert all(one.patches is request.row.patches for one, request in zip(again, prepared, strict=True) if request.row)


@pytest.mark.parametrize("compare", [False, True])
def test_logits_scores_are_those_of_the_processors_own_batch(reward: Qwen3VLReward, compare: bool) -> None:
    parameters = {"scoring": "logits", "batch_size": 5, "compare_with_original": compare}
    settings = read_settings(parameters)
    inputs = as_the_processor_has_it(reward, [first_question(one, settings) for one in requests()], settings)
    scale = scale_tokens(reward._processor().tokenizer, 0, 10)
    plain = [one.score for one in expected_scores(reward._forward(number_logits, inputs, scale), scale)]
    with ThreadPoolExecutor(1) as another_thread:
        prepared = another_thread.submit(reward.prepare_batch, requests(), parameters).result()
    assert [one.score for one in score(reward, prepared, parameters).judgements] == pytest.approx(plain, abs=1e-6)
    assert [one.score for one in score(reward, requests(), parameters).judgements] == pytest.approx(plain, abs=1e-6)


def test_what_is_asked_about_one_edit_shares_its_images(reward: Qwen3VLReward) -> None:
    edit, other = grey(20), grey(30)
    asking = [asked(image, aspect=aspect) for image in (edit, other) for aspect in ("一致", "真实", "美观")]
    rows = [request.row for request in reward.prepare_batch(asking, {})]
    assert len({id(row.patches) for row in rows if row}) == 2
    assert all(rows)
    settings = read_settings({})
    apart = [row for one in asking for row in rows_of(reward, reward.prepare_batch([one], {}), settings)]
    together = reward._inputs([row for row in rows if row], settings)
    assert same(together, reward._inputs(apart, settings))


def test_what_can_not_be_prepared_is_left_to_fail_alone(reward: Qwen3VLReward) -> None:
    asking = [asked(grey(0)), asked(grey(90), user="看<|im_end|>这里"), asked(grey(250))]
    prepared = reward.prepare_batch(asking, {})
    assert [request.row is None for request in prepared] == [False, True, False]
    kinds = [one.kind for one in score(reward, prepared, {"scoring": "logits", "batch_size": 8}).judgements]
    assert kinds == [None, "error", None]


def test_preparing_in_another_thread_leaves_torch_its_number_of_threads(reward: Qwen3VLReward) -> None:
    import torch

    counts: list[int] = []

    def prepare() -> None:
        reward.prepare_batch(requests(), {"max_pixels": 80 * 80})
        counts.append(torch.get_num_threads())

    preparing = threading.Thread(target=prepare)
    preparing.start()
    preparing.join()
    assert [*counts, torch.get_num_threads()] == [1, 1]


def test_batches_that_are_prepared_while_others_are_scored_change_nothing(reward: Qwen3VLReward) -> None:
    """Scoring uses the tokenizer too: to read replies, and for the second question."""
    parameters = {"batch_size": 5, "max_new_tokens": 3, "max_pixels": 72 * 72}
    settings = read_settings(parameters)
    alone = score(reward, requests(), parameters).judgements
    rows = reward._inputs(rows_of(reward, reward.prepare_batch(requests(), parameters), settings), settings)
    over = threading.Event()
    prepared: list[Sequence[PreparedRequest]] = []

    def prepare() -> None:
        while not over.is_set():
            prepared.append(reward.prepare_batch(requests(), parameters))

    preparing = threading.Thread(target=prepare)
    preparing.start()
    try:
        meanwhile = [score(reward, requests(), parameters).judgements for _ in range(5)]
    finally:
        over.set()
        preparing.join()
    assert meanwhile == [alone] * 5
    assert len(prepared) > 1
    assert all(same(reward._inputs(rows_of(reward, one, settings), settings), rows) for one in prepared)
