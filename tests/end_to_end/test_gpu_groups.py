"""A run whose workers have groups of GPUs, on GPUs that only NVML has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol.pool import read_worker_cards
from tests.fake_nvml import write_pynvml
from tests.harness import User, small_benchmark


@pytest.mark.slow
def test_editors_on_pairs_of_gpus_take_turns_with_a_reward_on_each_of_them(user: User, tmp_path: Path) -> None:
    user.environment |= write_pynvml(tmp_path / "nvml", 4)
    user.environment.pop("CUDA_VISIBLE_DEVICES", None)
    # Slow enough that the editor which loads last finds pairs left.
    editors = {"device_ids": [0, 1, 2, 3], "gpus_per_worker": 2, "latency_ms": 250}
    config = user.simulated(small_benchmark(tmp_path / "data.json"), editor=editors, reward={"device": "auto"})

    result = user.run("run", "--config", config, "--keep-warm")

    assert result.code == 0, result.output
    assert {row["device"] for row in user.rows("edited")} == {"cuda:0+1", "cuda:2+3"}
    assert {row["device"] for row in user.rows("scored")} <= {f"cuda:{index}" for index in range(4)}
    assert user.report()["performance"]["model_switches"] > 0
    manifest = json.loads((user.run_folder() / "manifest.json").read_text())
    devices = {worker["worker_id"]: worker["device"] for worker in manifest["workers"]}
    assert devices["editor-1"] == "cuda:2+3"
    cards = {card.worker_id: card.visible_gpu for card in read_worker_cards(user.home / config.stem)}
    assert (cards["editor-0"], cards["editor-1"], cards["reward-3"]) == ("0,1", "2,3", "3")
    again = user.run_config(config)
    assert "other devices" not in again.output
