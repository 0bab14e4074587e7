"""Where stages take turns, the reward's weights come from disk while the last edits are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import User, small_benchmark

OWN_REWARD = """
import os
from workers.interface import ModelError, Reward, Scores
from protocol.messages import Judgement

class Heavy(Reward):
    def load(self, residency):
        self.note(f"load {residency}")
        if residency == "host" and self.spec.params.get("deadly"):
            os._exit(9)
        if residency == "host" and self.spec.params.get("full"):
            raise ModelError("load", "the host is full")
    def place(self, residency):
        self.note(f"place {residency}")
    def note(self, what):
        with open("moves.txt", "a") as file:
            print(what, file=file)
    def size_bytes(self):
        return 1000
    def score(self, requests, parameters, progress):
        return Scores([Judgement(score=5.0) for _ in requests])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("full", "moves"), [(False, ["load host", "place device"]), (True, ["load host", "load device"])]
)
def test_the_rewards_weights_are_read_while_the_last_edits_are_made(
    user: User, tmp_path: Path, full: bool, moves: list[str]
) -> None:
    (tmp_path / "mine.py").write_text(OWN_REWARD)
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=2))},
        diffusion_model={"type": "simulated", "params": {"device_ids": ["cpu", "cpu"], "latency_ms": 300}},
        # A size that nobody knows beforehand: the weights are not read before their turn.
        reward_model={"class_path": "mine.Heavy", "params": {"device": "cpu", "full": full}},
        scheduler={"residency": "swap"},
    )

    result = user.run_config(config)

    assert result.code == 0, result.output
    assert (tmp_path / "moves.txt").read_text().split("\n") == [*moves, ""]
    assert result.output.index("reading the model into host memory") < result.output.index("Model switch:")
    assert ("could not read its model ahead of its turn: the host is full" in result.output) == full
    assert user.report()["performance"]["model_switches"] == 1


@pytest.mark.slow
def test_a_reward_that_dies_while_reading_early_loads_in_its_turn(user: User, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN_REWARD)
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=1))},
        # Long enough for a second life, which would be the next to die.
        diffusion_model={"type": "simulated", "params": {"device_ids": ["cpu", "cpu"], "latency_ms": 4500}},
        reward_model={"class_path": "mine.Heavy", "params": {"device": "cpu", "deadly": True}},
        scheduler={"residency": "swap"},
    )

    result = user.run_config(config)

    assert result.code == 0, result.output
    assert (tmp_path / "moves.txt").read_text().split() == ["load", "host", "load", "device"]
