"""The expected score of one forward pass, against what a pass for each number gives."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protocol.messages import Judgement, ModelSpec, Prompt
from workers.interface import ModelError, ScoreRequest
from workers.models.rewards.conversations import first_question
from workers.models.rewards.judgements import by_numbers
from workers.models.rewards.logits import NumberScore, ScaleTokens, expected_scores, scale_tokens
from workers.models.rewards.parameters import RewardSettings, read_settings
from workers.models.rewards.qwen3_vl import Qwen3VLReward


class WordTokenizer:
    """A tokenizer that knows some numbers as one token and spells the others digit by digit."""

    def __init__(self, *whole: str) -> None:
        self._whole = {word: 100 + index for index, word in enumerate(whole)}

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [self._whole[text]] if text in self._whole else [ord(letter) for letter in text]


def test_ten_is_one_and_zero_where_the_tokenizer_splits_it() -> None:
    scale = scale_tokens(WordTokenizer(), 0, 10)
    assert scale == ScaleTokens({digit: ord(str(digit)) for digit in range(10)}, {10: ord("0")}, ord("1"))
    assert list(scale.numbers) == list(range(11))


def test_ten_may_be_a_token_of_its_own() -> None:
    scale = scale_tokens(WordTokenizer("10"), 8, 10)
    assert (dict(scale.single), dict(scale.split)) == ({8: ord("8"), 9: ord("9"), 10: 100}, {})


@pytest.mark.parametrize(
    ("tokenizer", "low", "high", "named"),
    [
        (WordTokenizer(), 0, 20, "20"),
        (WordTokenizer(), -1, 5, "-1"),
        (WordTokenizer(), 0, 100, "20"),
        (WordTokenizer(), 0, 2.5, "2.5"),
    ],
)
def test_a_scale_that_one_pass_cannot_tell_is_refused(tokenizer: Any, low: float, high: float, named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        scale_tokens(tokenizer, low, high)
    assert caught.value.kind == "config"


def test_the_formula_splits_one_from_ten_and_counts_nothing_else() -> None:
    """Vocabulary: 0 is the digit "0", 1 the digit "1", 2 the digit "2", 3 anything else."""
    import torch

    p, q = [0.1, 0.4, 0.2, 0.3], [0.75, 0.05, 0.1, 0.1]
    [result] = expected_scores(torch.tensor([[p, q]]).log(), ScaleTokens({0: 0, 1: 1, 2: 2}, {10: 0}, 1))
    shares = {0: 0.1 / 0.7, 1: 0.4 * 0.25 / 0.7, 2: 0.2 / 0.7, 10: 0.4 * 0.75 / 0.7}
    assert result.probabilities == pytest.approx(shares)
    assert result.score == pytest.approx(sum(number * share for number, share in shares.items()))
    assert result.mass == pytest.approx(0.7)
    assert result.likeliest == 1


def test_a_score_is_defined_however_unlikely_all_numbers_are() -> None:
    import torch

    logits = torch.full((1, 2, 4), -900.0)
    logits[..., 3] = 900.0
    [result] = expected_scores(logits, ScaleTokens({0: 0, 1: 1, 2: 2}, {}, 1))
    assert result.score == pytest.approx(1.0)
    assert result.mass == 0.0


def by_mass(mass: float) -> Judgement:
    result = NumberScore(4.0, {0: 0.25, 1: 0.75}, mass, likeliest=123)
    return by_numbers(Prompt(aspect="a", system="", user=""), result, {123: "{"}.__getitem__)


def test_a_score_needs_a_tenth_of_the_probability_for_its_numbers() -> None:
    assert (by_mass(0.1).score, by_mass(0.1).kind) == (4.0, None)
    failed = by_mass(0.0999)
    assert (failed.score, failed.kind, failed.aspect) == (None, "off_scale", "a")
    assert json.loads(str(failed.response)) == {"numbers": {"0": 0.25, "1": 0.75}, "mass": 0.0999}
    assert by_mass(0.00123).message == (
        "the numbers of the scale have 0.0012 of the probability together, less than 0.1: "
        "the model would rather begin its answer with '{'"
    )


# -- with the real classes


@pytest.fixture
def any_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of all models, also of those that would rather say something else."""
    monkeypatch.setattr("workers.models.rewards.judgements.LEAST_MASS", 0.0)


def test_a_model_that_was_taught_to_answer_with_json_is_off_the_scale(tiny_trained_reward_path: Path) -> None:
    model = Qwen3VLReward(ModelSpec(role="reward", name=str(tiny_trained_reward_path), params={}), "cpu")
    model.load("device")
    judgements = model.score(requests(), {"scoring": "logits"}, lambda step, steps: None).judgements
    assert {judgement.kind for judgement in judgements} == {"off_scale"}
    assert all("begin its answer with '{\"'" in str(judgement.message) for judgement in judgements)


@pytest.fixture(scope="module", params=["tiny_reward_path", "tiny_trained_reward_path"])
def reward(request: pytest.FixtureRequest) -> Qwen3VLReward:
    path: Path = request.getfixturevalue(request.param)
    model = Qwen3VLReward(ModelSpec(role="reward", name=str(path), params={"dtype": "float32"}), "cpu")
    model.load("device")
    return model


def requests() -> list[ScoreRequest]:
    """Edits of several sizes with prompts of several lengths."""
    what = [((90, 64), 30, 3), ((64, 128), 100, 40), ((160, 100), 180, 12), ((70, 70), 255, 1), ((128, 64), 255, 25)]
    return [
        ScoreRequest(
            image=Image.new("RGB", size, (grey, grey, grey)),
            source=Image.new("RGB", (80, 64), (255 - grey, 40, 40)),
            prompt=Prompt(system="你是专家。" if length % 2 else "", user="请评估图像。" * length),
            key=f"k{length}",
            image_sha256="0" * 64,
        )
        for size, grey, length in what
    ]


def brute_force(reward: Qwen3VLReward, request: ScoreRequest, settings: RewardSettings) -> float:
    """The expected value from one whole pass per number over prompt and number, without any of the shortcuts."""
    tokenizer = reward._processor().tokenizer
    inputs = dict(reward._inputs([reward._row(first_question(request, settings), settings)], settings))
    numbers = range(int(settings.low), int(settings.high) + 1)
    likelihood = {number: likelihood_of(reward, inputs, tokenizer.encode(str(number))) for number in numbers}
    if 1 in likelihood:
        likelihood[1] -= sum(likelihood[number] for number in numbers if number >= 10)
    return sum(n * chance for n, chance in likelihood.items()) / sum(likelihood.values())


def likelihood_of(reward: Qwen3VLReward, inputs: Mapping[str, Any], tokens: Sequence[int]) -> float:
    import torch

    longer = dict(inputs)
    length = inputs["input_ids"].shape[1]
    for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
        if name in inputs:
            added = tokens if name == "input_ids" else [int(name == "attention_mask")] * len(tokens)
            longer[name] = torch.cat([inputs[name], torch.tensor([added], dtype=inputs[name].dtype)], dim=1)
    with torch.inference_mode():
        logits = reward._model(**longer).logits[0, length - 1 :].double().log_softmax(-1)
    return math.exp(sum(float(logits[place, token]) for place, token in enumerate(tokens)))


@pytest.mark.slow
@pytest.mark.usefixtures("any_mass")
@pytest.mark.parametrize("compare", [False, True])
@pytest.mark.parametrize("scale", [[0, 10], [1, 5], [1, 10], [0, 15]])
def test_one_pass_gives_what_a_pass_for_each_number_gives(
    reward: Qwen3VLReward, scale: list[int], compare: bool
) -> None:
    parameters = {"scoring": "logits", "score_range": scale, "compare_with_original": compare, "batch_size": 5}
    scores = reward.score(requests(), parameters, lambda step, steps: None)
    assert list(scores.batch_sizes) == [5]
    expected = [brute_force(reward, request, read_settings(parameters)) for request in requests()]
    assert [judgement.score for judgement in scores.judgements] == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("any_mass")
@pytest.mark.parametrize("compare", [False, True])
def test_a_score_does_not_depend_on_its_batch(reward: Qwen3VLReward, compare: bool) -> None:
    parameters = {"scoring": "logits", "compare_with_original": compare}
    together = reward.score(requests(), {**parameters, "batch_size": 5}, lambda step, steps: None)
    single = reward.score(requests(), {**parameters, "use_batch_inference": False}, lambda step, steps: None)
    assert list(single.batch_sizes) == [1] * 5
    assert [j.score for j in together.judgements] == pytest.approx([j.score for j in single.judgements], abs=1e-4)


@pytest.mark.usefixtures("any_mass")
def test_a_generation_in_between_changes_nothing(reward: Qwen3VLReward) -> None:
    """The model keeps position offsets from its last call, which must not leak into the next."""
    parameters = {"scoring": "logits", "batch_size": 5}
    before = reward.score(requests(), parameters, lambda step, steps: None)
    reward.score(requests()[:2], {"max_new_tokens": 3}, lambda step, steps: None)
    after = reward.score(requests(), parameters, lambda step, steps: None)
    assert [j.score for j in before.judgements] == [j.score for j in after.judgements]
