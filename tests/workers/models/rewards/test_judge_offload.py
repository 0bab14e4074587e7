"""A judge on a device that cannot hold it: the same scores and replies, with one decoder layer there at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.models.rewards.qwen3_vl import Qwen3VLReward

pytestmark = pytest.mark.slow

REPLIES = {"scoring": "generate", "max_new_tokens": 4, "batch_size": 8}
REQUESTS = [asked(grey(level)) for level in (20, 230)]


class CopyingReward(Qwen3VLReward):
    """Weights move between two places in CPU memory."""

    SECOND_COPY = True


def places(reward: Any) -> dict[str, int]:
    """Where each weight lies in memory."""
    return {name: weight.data_ptr() for name, weight in reward._model.named_parameters()}


def elsewhere(reward: Any, homes: dict[str, int]) -> set[str]:
    """The layers, and ``beside``, that have weights away from home."""
    moved = [name for name, place in places(reward).items() if place != homes[name]]
    return {name.split("layers.")[1].split(".")[0] if ".layers." in name else "beside" for name in moved}


def test_one_decoder_layer_at_a_time_is_on_the_device_and_the_scores_are_the_same(tiny_reward_path: Path) -> None:
    whole = loaded(tiny_reward_path, CopyingReward)
    reward = CopyingReward(whole.spec, "cpu")
    reward.spec.params["offload"] = "group"
    reward.load("host")
    homes = places(reward)
    reward.place("device")
    assert elsewhere(reward, homes) == {"beside"}
    assert ".layers." not in next(iter(homes))  # where transformers takes the model's device from
    layers = reward._model.model.language_model.layers
    seen: list[set[str]] = []
    handles = [
        layer.mlp.register_forward_pre_hook(lambda *_: seen.append(elsewhere(reward, homes))) for layer in layers
    ]
    judged = [score(model, REQUESTS, LOGITS).judgements for model in (reward, whole)]
    assert judged[0] == judged[1]
    assert seen == [{"beside", str(number)} for number in range(len(layers))]
    for handle in handles:
        handle.remove()
    assert score(reward, REQUESTS, REPLIES).judgements == score(whole, REQUESTS, REPLIES).judgements

    reward.place("host")
    assert places(reward) == homes
    assert reward.host_bytes() == whole.host_bytes()
    reward.place("device")
    assert score(reward, REQUESTS, LOGITS).judgements == judged[0]
    assert reward.size_bytes() == whole.size_bytes()
