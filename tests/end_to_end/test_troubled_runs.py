"""What goes wrong between runs and workers, and must not go wrong in the results."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness import TIMEOUT, Result, User, new_user, small_benchmark
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def finished(process: subprocess.Popen[str]) -> Result:
    with process:
        output, _ = process.communicate(timeout=TIMEOUT)
    return Result(process.returncode, output)


def edits_of(output: Path) -> list[Path]:
    return list(output.glob("runs/*/images/*/*.png"))


def worker(user: User, name: str) -> psutil.Process:
    (process,) = [process for process in user.processes() if f"{name} on" in " ".join(process.cmdline())]
    return process


def pause(seconds: float) -> None:
    """Let a stalled process be stalled for so long: that is what is tested, not a wait for something to come about."""
    subprocess.run(["sleep", str(seconds)], check=True)


def test_runs_that_wait_for_each_others_checkpoints_each_get_their_own(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json", pairs=6), editor={"latency_ms": 60, "model_name": "X"}
    )
    alone = {}
    for name in ("X", "Y"):
        user.output = tmp_path / f"alone-{name}"
        assert user.run_config(config, "--editor-model", name, "--output-dir", user.output, "--keep-warm").code == 0
        alone[name] = {(row["category"], row["pair_id"]): row["identity"] for row in user.rows("edited")}

    names = ("X", "Y", "X", "Y", "X")
    runs = []
    for number, name in enumerate(names):
        options = ("--editor-model", name, "--output-dir", tmp_path / f"run-{number}", "--keep-warm")
        runs.append(user.start("run", "--config", config, *options))
    results = [finished(process) for process in runs]

    assert [result.code for result in results] == [0] * len(names), results
    for number, name in enumerate(names):
        user.output = tmp_path / f"run-{number}"
        made = {(row["category"], row["pair_id"]): row["identity"] for row in user.rows("edited")}
        assert made == alone[name], f"run {number} was made with {name} alone"


@pytest.fixture
def swapping(user: User, tmp_path: Path) -> Path:
    """A run that edits, then moves models for a second, then scores."""
    return user.simulated(
        small_benchmark(tmp_path / "data.json", pairs=4),
        editor={"device_ids": [0, 1], "latency_ms": 30, "place_seconds": 1.0},
        reward={"device": "auto", "device_ids": [0, 1], "latency_ms": 30, "place_seconds": 1.0},
        scheduler={"dead_after_seconds": 1.5, "heartbeat_seconds": 0.2},
    )


def test_a_scheduler_that_stalls_while_models_move_continues(user: User, swapping: Path) -> None:
    process = user.start("run", "--config", swapping)
    wait_until(lambda: len(edits_of(user.output)) == 8)
    process.send_signal(signal.SIGSTOP)
    pause(3)
    process.send_signal(signal.SIGCONT)
    result = finished(process)

    assert result.code == 0, result.output
    assert user.report()["status"] == "COMPLETE"


def test_a_reward_that_stalls_before_the_switch_does_not_hold_up_the_others(user: User, swapping: Path) -> None:
    process = user.start("run", "--config", swapping)
    wait_until(lambda: len(edits_of(user.output)) >= 2)
    stalled = worker(user, "reward-1")
    stalled.suspend()
    result = finished(process)

    assert result.code == 0, result.output
    assert {row["worker"] for row in user.rows("scored")} == {"reward-0"}


OWN_REWARD = """
from workers.interface import Reward, Scores
from protocol.messages import Judgement

class Answers(Reward):
    def load(self, residency):
        pass
    def score(self, requests, parameters, progress):
        values = {"first": 2.0, "second": 8.0, "odd": float(parameters.get("odd", 5.0))}
        return Scores([Judgement(score=values[request.prompt.aspect]) for request in requests])
"""


@pytest.fixture(scope="module")
def own_reward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user with a reward of their own, in a pool that stays warm."""
    folder = tmp_path_factory.mktemp("own-reward")
    (folder / "mine.py").write_text(OWN_REWARD)
    small_benchmark(folder / "data.json", pairs=2)
    with new_user(folder) as made:
        yield made


def run_own_reward(user: User, aspects: tuple[str, ...], **params: object) -> Result:
    prompt = {"system_prompt": "s", "user_prompt_template": "u"}
    config = user.config(
        benchmark={"data_path": "data.json"},
        diffusion_model={"type": "simulated", "params": {"device": "cpu", "latency_ms": 1}},
        reward_model={"class_path": "mine.Answers", "params": {"device": "cpu", **params}},
        prompts={name: {"aspects": dict.fromkeys(aspects, prompt), "combine": "mean"} for name in ("物理", "spatial")},
    )
    return user.run_config(config, "--keep-warm")


def test_aspects_are_what_was_asked_whatever_the_reward_calls_them(own_reward: User) -> None:
    result = run_own_reward(own_reward, ("first", "second"))

    assert result.code == 0, result.output
    assert {row["score"] for row in own_reward.rows("scored")} == {5.0}
    assert own_reward.rows("scored")[0]["aspects"] == {"first": 2.0, "second": 8.0}


@pytest.mark.parametrize("odd", [-1.0, 11.0])
def test_a_score_out_of_range_is_a_failure_and_not_a_score(own_reward: User, odd: float) -> None:
    result = run_own_reward(own_reward, ("odd",), odd=odd)

    assert result.code == 3, result.output
    assert {failure["kind"] for failure in own_reward.report()["failures"]} == {"out_of_range"}


def test_a_score_that_is_no_number_fails_its_pairs_and_not_the_run(own_reward: User) -> None:
    result = run_own_reward(own_reward, ("odd",), odd=".nan")

    assert result.code == 3, result.output
    assert own_reward.report()["overall"]["num_failed"] == 4


@pytest.mark.warm
def test_a_pair_counts_once_against_the_limit_however_many_samples_fail(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        editor={"faults": {"error": ["物理/1"]}},
        evaluation={"samples_per_pair": 3},
        scheduler={"max_failures": 1},
    )
    assert user.run_config(config).code == 3
