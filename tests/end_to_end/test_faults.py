"""Pairs that kill or hang the worker that takes them: given up and recorded, and all other pairs are scored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Result, User, small_benchmark
from workers.supervision import MAX_DEATHS

POISON = "物理/1"


def failures(user: User) -> list[tuple[str, str, str]]:
    """Key, stage and kind of each failure in the report."""
    return sorted(
        (f"{row['category']}/{row['pair_id']}", row["stage"], row["kind"]) for row in user.report()["failures"]
    )


def assert_only_these_failed(user: User, result: Result, expected: list[tuple[str, str, str]], *, pairs: int) -> None:
    assert result.code == 3, result.output
    assert failures(user) == sorted(expected)
    scored = [pair for pair in user.report()["pairs"] if pair["score"] is not None]
    assert len(scored) == pairs - len({key for key, _, _ in expected})
    assert user.left_over() == []


def restarts(result: Result) -> int:
    """How many deaths the run told of."""
    return len(re.findall(r"died \(exit code", result.output))


@pytest.mark.slow
@pytest.mark.parametrize("synchronized", [True, False])
@pytest.mark.parametrize("editors", [1, 2])
def test_a_pair_that_kills_its_editor_is_given_up_and_all_others_are_scored(
    user: User, tmp_path: Path, editors: int, synchronized: bool
) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        editor={
            "device_ids": ["cpu"] * editors,
            "enable_batch_sync": synchronized,
            "faults": {"crash": [POISON]},
        },
    )
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(POISON, "edit", "poison")], pairs=8)
    (row,) = user.rows("failed")
    assert "died 2 times" in row["message"]
    assert row["worker"] in row["message"]
    assert row["device"] == "cpu"
    assert row["attempt"] >= 2
    # Without barriers the news that the pair before is done may die with the worker: then that one is tried alone, too.
    assert restarts(result) <= (3 if synchronized else 4)


@pytest.mark.slow
@pytest.mark.parametrize("rewards", [1, 2])
@pytest.mark.parametrize("keep", [True, False])
def test_a_pair_that_kills_its_reward_is_given_up_and_its_batch_is_not_lost(
    user: User, tmp_path: Path, rewards: int, keep: bool
) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        editor={"device_ids": ["cpu"]},
        reward={"device": "auto", "device_ids": ["cpu"] * rewards, "faults": {"crash": [POISON]}},
        evaluation={"save_generated_images": keep},
    )
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(POISON, "score", "poison")], pairs=8)
    (row,) = user.rows("failed")
    assert "died 2 times" in row["message"]
    assert row["batch"] is not None
    # One in a batch, two alone; and one more if the word that the batch before it was done died with the process.
    assert restarts(result) <= 4
    assert len(list(user.run_folder().rglob("*.png"))) == (8 if keep else 1), "what has no score may get one yet"


@pytest.mark.slow
@pytest.mark.parametrize("role", ["edit", "score"])
@pytest.mark.parametrize("workers", [1, 2])
def test_two_pairs_that_kill_are_distinguished_from_their_neighbours(
    user: User, tmp_path: Path, role: str, workers: int
) -> None:
    deadly = ["物理/1", "物理/2"]
    params: dict[str, Any] = {"device_ids": ["cpu"] * workers, "faults": {"crash": deadly}}
    reward = {"editor": {"device_ids": ["cpu"]}, "reward": {"device": "auto", **params}}
    models = {"editor": params} if role == "edit" else reward
    config = user.simulated(small_benchmark(tmp_path / "data.json"), **models)
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(key, role, "poison") for key in deadly], pairs=8)
    assert restarts(result) <= 6


@pytest.mark.slow
def test_pairs_that_kill_at_the_end_of_a_run_do_not_abort_it(user: User, tmp_path: Path) -> None:
    """Nothing is left to be done in between: five deaths in a row, the last of which ends the stage as well."""
    deadly = ["spatial/2", "spatial/3"]
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"), editor={"device_ids": ["cpu"], "faults": {"crash": deadly}}
    )
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(key, "edit", "poison") for key in deadly], pairs=8)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["edit", "score"])
def test_a_pair_that_hangs_its_worker_is_given_up_by_way_of_the_watchdog(user: User, tmp_path: Path, role: str) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        scheduler={"job_timeout_seconds": 1},
        editor={"faults": {"hang": [POISON]}} if role == "edit" else {"device_ids": ["cpu"]},
        reward={"faults": {"hang": [POISON]}} if role == "score" else None,
    )
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(POISON, role, "poison")], pairs=8)


@pytest.mark.slow
def test_every_sample_of_a_pair_that_kills_is_given_up_with_it(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        editor={"faults": {"crash": [POISON]}},
        evaluation={"samples_per_pair": 3, "reward_passes": 2},
    )
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(POISON, "edit", "poison")] * 3, pairs=8)
    assert len(user.rows("scored")) == 7 * 3 * 2


@pytest.mark.slow
def test_many_pairs_that_kill_do_not_end_a_long_run(user: User, tmp_path: Path) -> None:
    """More deaths than a worker may die in a row: in between it gets something done."""
    deadly = [f"{category}/{number}" for category in ("物理", "spatial") for number in (2, 7)]
    config = user.simulated(
        small_benchmark(tmp_path / "data.json", pairs=10),
        editor={"device_ids": ["cpu"], "faults": {"crash": deadly}},
    )
    result = user.run_config(config)

    assert_only_these_failed(user, result, [(key, "edit", "poison") for key in deadly], pairs=20)
    assert restarts(result) > MAX_DEATHS


@pytest.mark.slow
def test_a_broken_device_ends_its_worker_and_a_model_that_exits_fails_its_pair(user: User, tmp_path: Path) -> None:
    """Without 600 s of waiting for the watchdog, and with the reason in the log and in the ledger."""
    (tmp_path / "mine.py").write_text(FAILING_MODELS, encoding="utf-8")
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json"))},
        diffusion_model={"class_path": "mine.Edits", "params": {"device_ids": ["cpu", "cpu"]}},
        reward_model={"class_path": "mine.Scores_", "params": {"device": "cpu", "batch_size": 4}},
    )
    result = user.run_config(config)

    expected = [("物理/1", "edit", "poison"), ("物理/2", "edit", "error"), ("spatial/1", "score", "poison")]
    assert_only_these_failed(user, result, expected, pairs=8)
    messages = {f"{row['category']}/{row['pair_id']}": row["message"] for row in user.rows("failed")}
    assert "RuntimeError: CUDA error: device-side assert triggered" in messages["物理/1"]
    assert messages["物理/2"] == "SystemExit: the model called sys.exit(3)"
    assert "RuntimeError: CUDA error: an illegal memory access was encountered" in messages["spatial/1"]
    died = "died (exit code 70: RuntimeError: CUDA error: device-side assert triggered"
    assert died in result.output
    assert died in (user.home / config.stem / "launcher.log").read_text(encoding="utf-8")


FAILING_MODELS = """
import sys
from protocol.messages import Judgement
from workers.interface import Editor, Reward, Scores

class Edits(Editor):
    def load(self, residency):
        pass

    def edit(self, request, progress):
        if request.key == "物理/1":
            raise RuntimeError("CUDA error: device-side assert triggered\\nSearch for cudaErrorAssert")
        if request.key == "物理/2":
            sys.exit(3)
        return request.image

class Scores_(Reward):
    def load(self, residency):
        pass

    def score(self, requests, parameters, progress):
        if any(request.key == "spatial/1" for request in requests):
            raise RuntimeError("CUDA error: an illegal memory access was encountered\\nMore")
        return Scores([Judgement(score=1.0, method="json") for _ in requests])
"""
