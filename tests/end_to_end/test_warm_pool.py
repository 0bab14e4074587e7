"""Pools that outlive runs: started, attached to, shared, moved to another checkpoint, killed in every way, stopped."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.pools import finished, pids
from tests.harness import TIMEOUT, User, small_benchmark
from tests.waiting import wait_until

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "launch_workers.sh"


def pairs(user: User) -> dict[str, Any]:
    """What the newest report says of each pair, without times, workers and attempts."""
    results = {}
    for pair in user.report()["pairs"]:
        samples = [(sample["sha256"], sample["score"]) for sample in pair["samples"]]
        results[f"{pair['category']}/{pair['pair_id']}"] = (pair["status"], pair["score"], samples)
    return results


@pytest.mark.slow
def test_a_pool_is_started_shown_used_and_stopped(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    started = subprocess.run(
        [SCRIPT, config],
        env=user.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    assert "All 3 workers are ready" in started.stdout
    assert "warmbench run" in started.stdout, "it says how to attach"

    again = user.run("workers", "start", "--config", config)
    assert again.code == 0
    assert "nothing was started" in again.output

    before = pids(user, config)
    assert user.run_config(config).code == 0
    assert user.run_config(config, "--no-launch").code == 0
    assert pids(user, config) == before, "the workers are still the same processes"

    status = user.check("workers", "status", "--config", config)
    assert status.code == 0
    for word in ("editor-0", "editor-1", "reward-0", "simulated", "device"):
        assert word in status.output
    assert re.findall(r"  (idle|ready|working\S*)  ", status.output) == ["idle"] * 3

    stopped = user.check("workers", "stop", "--config", config)
    assert stopped.code == 0
    assert user.left_over() == []
    assert user.check("workers", "status", "--config", config).code == 1
    assert user.check("workers", "stop", "--config", config).code == 0


@pytest.mark.slow
def test_a_run_that_may_not_launch_says_so_when_there_is_no_pool(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    for options in (("--no-launch",), ("--no-launch", "--dry-run")):
        result = user.check_config(config, *options)
        assert result.code == 2
        assert "is not up" in result.output
    assert not user.output.exists(), "nothing was run, and nothing is left"


@pytest.mark.slow
def test_a_worker_that_cannot_load_is_reported_and_the_others_stay_usable(user: User, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "from workers.interface import Editor, ModelError\n"
        "class Moody(Editor):\n"
        "    def load(self, residency):\n"
        "        try:\n"
        "            os.mkdir('first-one-fails')\n"
        "        except FileExistsError:\n"
        "            return\n"
        "        raise ModelError('load', 'not today')\n"
        "    def edit(self, request, progress):\n"
        "        return request.image\n"
    )
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json"))},
        diffusion_model={"class_path": "mine.Moody", "params": {"device_ids": ["cpu", "cpu"]}},
        reward_model={"type": "simulated", "params": {"device": "cpu"}},
    )
    started = user.run("workers", "start", "--config", config)

    assert started.code == 1
    assert "not today" in started.output
    assert ".log" in started.output
    assert user.run_config(config).code == 0, "the other editor is enough"
    assert user.check("workers", "stop", "--config", config).code == 0
    assert user.left_over() == []


@pytest.mark.slow
def test_another_checkpoint_is_loaded_into_the_same_processes_and_the_reward_stays(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    config = user.simulated(data, editor={"model_name": "first"})
    assert user.run_config(config, "--keep-warm").code == 0
    before = pids(user, config)

    identities = set()
    for name in ("first", "second", "first", "third"):
        result = user.run_config(config, "--editor-model", name, "--keep-warm")
        assert result.code == 0, result.output
        assert pids(user, config) == before
        edit = next(row for row in user.rows("edited") if (row["category"], row["pair_id"]) == ("物理", "1"))
        identities.add((name, edit["identity"]))
        loaded = [line for line in result.output.splitlines() if "in place" in line]
        assert all("editor" in line and "model_name" in line for line in loaded)
        changed = len(loaded)
        # The run may be over before the second editor has loaded.
        assert min(1, changed) <= result.output.count(f"it is {name} now") <= changed
        assert result.output.count(f"holds {name} already") == 2 - changed
        assert result.output.count("reward-0 on cpu: holds simulated already [") == 1
    assert len(identities) == 3, "the same checkpoint gives the same identity, another one another"


@pytest.mark.slow
def test_a_run_that_changes_only_its_own_parameters_loads_nothing(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    config = user.simulated(data)
    assert user.run_config(config, "--keep-warm").code == 0
    settings = {"num_inference_steps": 7, "true_cfg_scale": 2.0, "seed": 5}
    result = user.run_config(user.simulated(data, editor=settings, reward={"batch_size": 2}))

    assert result.code == 0
    assert "in place" not in result.output


@pytest.mark.slow
def test_two_runs_at_once_give_the_same_results_as_alone(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=8)
    config = user.simulated(data, editor={"latency_ms": 40})
    assert user.run("workers", "start", "--config", config, "--pool", "shared").code == 0
    other = user.simulated(data, editor={"latency_ms": 40, "seed": 7}, name="other")
    commands = [(config, "--categories", "物理"), (other, "--categories", "spatial")]
    alone = []
    for number, (path, *options) in enumerate(commands):
        user.output = tmp_path / f"alone-{number}"
        assert user.run_config(path, *options, "--pool", "shared", "--output-dir", user.output).code == 0
        alone.append(pairs(user))

    both = [
        user.start("run", "--config", path, *options, "--pool", "shared", "--output-dir", tmp_path / f"both-{number}")
        for number, (path, *options) in enumerate(commands)
    ]
    for number, process in enumerate(both):
        result = finished(process)
        assert result.code == 0, result.output
        user.output = tmp_path / f"both-{number}"
        assert pairs(user) == alone[number]
        assert {row["seed"] for row in user.rows("edited")} == {7 * number}
    assert user.check("workers", "stop", "--config", config, "--pool", "shared").code == 0
    assert user.left_over() == []


@pytest.mark.slow
def test_one_run_that_ends_badly_does_not_disturb_the_other(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=10)
    config = user.simulated(data, editor={"latency_ms": 60})
    assert user.run("workers", "start", "--config", config).code == 0
    steady = user.start("run", "--config", config, "--output-dir", tmp_path / "steady")
    for number, number_of_signal in enumerate((signal.SIGKILL, signal.SIGINT)):
        user.output = tmp_path / f"victim-{number}"
        victim = user.start("run", "--config", config, "--output-dir", user.output)
        wait_until(lambda: list(user.output.glob("runs/*/images/*/*.png")))
        victim.send_signal(number_of_signal)
        finished(victim)
    result = finished(steady)

    assert result.code == 0, result.output
    assert user.check("workers", "stop", "--config", config).code == 0
    assert user.left_over() == []


def swapping(user: User, data: Path, *, dead_after_seconds: float = 3) -> Path:
    return user.simulated(
        data,
        editor={"device_ids": [0, 1], "latency_ms": 30},
        reward={"device": "auto", "device_ids": [0, 1], "latency_ms": 30},
        scheduler={"dead_after_seconds": dead_after_seconds, "heartbeat_seconds": 0.5},
    )


@pytest.mark.slow
def test_runs_that_move_models_take_turns_and_survive_each_others_failures(user: User, tmp_path: Path) -> None:
    config = swapping(user, small_benchmark(tmp_path / "data.json", pairs=10))
    assert user.run("workers", "start", "--config", config).code == 0
    runs = [user.start("run", "--config", config, "--output-dir", tmp_path / f"run-{number}") for number in range(3)]

    def first_edit(number: int) -> bool:
        return bool(list((tmp_path / f"run-{number}").glob("runs/*/images/*/*.png")))

    wait_until(lambda: any(first_edit(number) for number in range(3)))
    holder = next(number for number in range(3) if first_edit(number))
    stopped, killed = [number for number in range(3) if number != holder]
    runs[holder].send_signal(signal.SIGSTOP)
    runs[killed].kill()
    finished(runs[killed])
    pause = subprocess.Popen(["sleep", "5"])  # longer than dead_after_seconds
    pause.wait()
    runs[holder].send_signal(signal.SIGCONT)
    for number in (holder, stopped):
        result = finished(runs[number])
        assert result.code == 0, result.output
    assert user.check("workers", "stop", "--config", config).code == 0
    assert user.left_over() == []


def waits_for_the_pool(output: Path) -> bool:
    return any("Waiting for the pool" in log.read_text(encoding="utf-8") for log in output.glob("logs/*.log"))


@pytest.mark.slow
def test_three_runs_that_move_models_finish_one_after_the_other_and_say_what_they_wait_for(
    user: User, tmp_path: Path
) -> None:
    config = swapping(user, small_benchmark(tmp_path / "data.json", pairs=3), dead_after_seconds=120)
    outputs = [tmp_path / f"run-{number}" for number in range(3)]
    first = user.start("run", "--config", config, "--output-dir", outputs[0])
    wait_until(lambda: list(outputs[0].glob("runs/*/images/*/*.png")))
    first.send_signal(signal.SIGSTOP)  # until the others wait
    others = [user.start("run", "--config", config, "--output-dir", output) for output in outputs[1:]]
    wait_until(lambda: all(waits_for_the_pool(output) for output in outputs[1:]))
    first.send_signal(signal.SIGCONT)
    results = [finished(process) for process in (first, *others)]

    assert [result.code for result in results] == [0, 0, 0], results
    assert ["Waiting for the pool: it is used by" in result.output for result in results] == [False, True, True]
    spans = []
    for number in range(3):
        user.output = tmp_path / f"run-{number}"
        rows = [*user.rows("edited"), *user.rows("scored")]
        spans.append((min(row["started"] for row in rows), max(row["finished"] for row in rows)))
    spans.sort()
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    wait_until(lambda: user.left_over() == [])


@pytest.mark.slow
def test_two_launchers_at_once_give_one_pool(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    starts = [user.start("workers", "start", "--config", config) for _ in range(2)]
    results = [finished(process) for process in starts]

    assert [result.code for result in results] == [0, 0], results
    assert len([process for process in user.processes() if "launcher of" in " ".join(process.cmdline())]) == 1
    assert len(pids(user, config)) == 3
    assert user.run_config(config).code == 0
    assert user.check("workers", "stop", "--config", config).code == 0


@pytest.mark.slow
def test_a_config_with_other_devices_uses_the_pool_as_it_is_with_a_warning(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json")
    config = user.simulated(data)
    assert user.run_config(config, "--keep-warm").code == 0
    content = yaml.safe_load(config.read_text())
    content["diffusion_model"]["params"]["device_ids"] = ["cpu"] * 4
    config.write_text(yaml.safe_dump(content))
    result = user.run_config(config)

    assert result.code == 0
    assert result.output.count("other devices") == 1
    assert {row["worker"] for row in user.rows("edited")} <= {"editor-0", "editor-1"}
