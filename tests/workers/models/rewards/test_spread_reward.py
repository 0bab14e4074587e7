"""A reward whose model is spread over two devices: the same scores and replies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.messages import ModelSpec
from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.models.rewards.qwen3_vl import Qwen3VLReward


class CopyingReward(Qwen3VLReward):
    """Weights move between two places in CPU memory."""

    SECOND_COPY = True


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [LOGITS, {"max_new_tokens": 12}], ids=["logits", "generate"])
def test_a_spread_reward_scores_as_one_on_one_device(tiny_reward_path: Path, parameters: Mapping[str, Any]) -> None:
    from tests.workers.models.moving.told_apart import ToldApart

    requests = [asked(grey(level)) for level in (0, 128, 255)]
    whole = score(loaded(tiny_reward_path), requests, parameters)
    reward = CopyingReward(ModelSpec(role="reward", name=str(tiny_reward_path), params={"dtype": "float32"}), "cpu")
    reward.devices = ("cpu:0", "cpu:1")
    reward.load("device")
    assert any(name.startswith("0.model.language_model.layers.") for name in reward._mover._layers)
    with ToldApart(reward._mover) as devices:
        assert score(reward, requests, parameters) == whole
    assert devices.moved > 10
    reward.place("host")
    reward.place("device")
    assert score(reward, requests, parameters) == whole
