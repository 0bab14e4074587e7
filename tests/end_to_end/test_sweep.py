"""A sweep: checkpoint after checkpoint on the same processes, one report each; it can be resumed however it ended."""

from __future__ import annotations

import fcntl
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.pools import finished
from tests.end_to_end.test_real_models import real
from tests.harness import TIMEOUT, User, small_benchmark
from tests.waiting import wait_until

SOURCE = """
import fcntl, os
from workers.interface import Editor, ModelError

class Trained(Editor):
    def load(self, residency):
        if "broken" in self.spec.name:
            raise ModelError("load", "the weights are truncated")

    def edit(self, request, progress):
        with open("edited", "a") as edited:
            edited.write(f"{os.getpid()} {os.path.basename(self.spec.name)} {request.image.size}\\n")
        if "1000" in self.spec.name and os.path.exists("gate") and open("edited").read().count("1000 ") > 1:
            with open("gate") as gate:
                fcntl.flock(gate, fcntl.LOCK_SH)
        return request.image
"""
NAMES = ["checkpoint-1000", "checkpoint-900", "checkpoint-950-broken", "checkpoint-1100"]
IN_ORDER = ["checkpoint-900", "checkpoint-950-broken", "checkpoint-1000", "checkpoint-1100"]


@pytest.fixture
def config(user: User, tmp_path: Path) -> Path:
    """A config with an editor whose checkpoints are folders of any content; ``edited`` lists its edits."""
    (tmp_path / "mine.py").write_text(SOURCE, encoding="utf-8")
    for name in NAMES:
        (tmp_path / "out" / name).mkdir(parents=True)
    return user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=2))},
        diffusion_model={"class_path": "mine.Trained", "params": {"device": "cpu", "model_name": "none"}},
        reward_model={"type": "simulated", "params": {"device": "cpu", "latency_ms": 1}},
    )


def edited(folder: Path) -> list[list[str]]:
    """The process, the checkpoint and the size of each edit."""
    return [line.split(" ", 2) for line in (folder / "edited").read_text(encoding="utf-8").splitlines()]


def sweep_file(user: User) -> dict[str, Any]:
    (path,) = (user.output / "sweeps").glob("*/sweep.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def events(user: User, run: str, event: str) -> list[tuple[str, str]]:
    lines = (user.output / "runs" / run / "results.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row["category"], row["pair_id"]) for row in rows if row["event"] == event]


def begun(user: User) -> bool:
    """Whether checkpoint-1000 has one edit in its ledger, and waits with the next."""
    if not list(user.output.glob("sweeps/*/sweep.json")):
        return False
    (run,) = [entry["run"] for entry in sweep_file(user)["checkpoints"] if "1000" in entry["model"]]
    return bool(run) and (user.output / "runs" / run / "results.jsonl").exists() and bool(events(user, run, "edited"))


@pytest.mark.slow
def test_every_checkpoint_of_a_pattern_is_evaluated_in_order_by_the_same_processes(
    user: User, tmp_path: Path, config: Path
) -> None:
    tell = "sh -c 'echo $WARMBENCH_STEP $WARMBENCH_STATUS $WARMBENCH_EXIT_CODE >> told'"
    result = user.run_config(config, "--editor-models", "out/checkpoint-*", "--on-result", tell)

    assert result.code == 3, result.output
    sweep = sweep_file(user)
    assert [Path(entry["model"]).name for entry in sweep["checkpoints"]] == IN_ORDER
    assert [entry["code"] for entry in sweep["checkpoints"]] == [0, 2, 0, 0]
    assert "the weights are truncated" in sweep["checkpoints"][1]["reason"]
    edits = edited(tmp_path)
    assert [name for _, name, _ in edits] == [name for name in IN_ORDER if "broken" not in name for _ in range(4)]
    assert len({pid for pid, _, _ in edits}) == 1, "one process has made all edits"
    for entry in sweep["checkpoints"]:
        if entry["code"] == 0:
            assert (user.output / f"evaluation_report_{entry['run']}.json").is_file()
    table = result.output[result.output.index("Title") :]
    assert [name for line in table.splitlines() for name in IN_ORDER if f"out/{name} " in line][:4] == IN_ORDER
    assert "NOT LOADED" in table
    assert "out/checkpoint-950-broken was not loaded: no editor is left: editor-0: the weights are truncated" in table
    assert f"--resume {sweep['sweep']}" in table
    series = user.output / "sweeps" / sweep["sweep"] / "series"
    assert f"Series of 3 runs: {series / 'series.html'}" in table
    written = json.loads((series / "series.json").read_text(encoding="utf-8"))
    assert [run["step"] for run in written["runs"]] == [900, 1000, 1100]
    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert told == ["900 COMPLETE 0", "950 INCOMPLETE 2", "1000 COMPLETE 0", "1100 COMPLETE 0"]
    assert user.left_over() == [], "the pool was launched for the sweep, and ends with it"

    again = user.run_config(config, "--editor-models", "out/checkpoint-*", "--resume", "latest")
    assert again.code == 3, again.output
    assert len(edited(tmp_path)) == len(edits), "what is finished is not touched"
    assert len(list((user.output / "runs").glob("2*"))) == 4, "the broken one is tried again in its own run"


@pytest.mark.slow
def test_a_killed_sweep_goes_on_with_what_is_missing(user: User, tmp_path: Path, config: Path) -> None:
    (tmp_path / "gate").touch()
    models = [f"out/{name}" for name in NAMES]
    with (tmp_path / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        process = user.start_run(config, "--editor-models", *models)
        wait_until(lambda: begun(user), seconds=TIMEOUT)
        process.send_signal(signal.SIGKILL)
        finished(process)
        (interrupted,) = [entry["run"] for entry in sweep_file(user)["checkpoints"] if "1000" in entry["model"]]
    wait_until(lambda: user.left_over() == [], seconds=TIMEOUT)
    before = {path.name: path.stat().st_mtime_ns for path in user.output.glob("*_report_*.json")}
    (tmp_path / "gate").unlink()

    result = user.run_config(config, "--editor-models", *models, "--resume", "latest")

    assert result.code == 3, result.output
    entries = sweep_file(user)["checkpoints"]
    assert [entry["code"] for entry in entries] == [0, 2, 0, 0]
    assert entries[2]["run"] == interrupted
    for entry in (entry for entry in entries if entry["code"] == 0):
        for event in ("planned", "edited", "scored"):
            done = events(user, entry["run"], event)
            assert len(done) == len(set(done)) == 4, (entry, event)
    assert len(list((user.output / "runs").glob("2*"))) == 4
    assert all((user.output / name).stat().st_mtime_ns == time for name, time in before.items())
    assert user.left_over() == []


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_with_the_command_to_go_on(user: User, tmp_path: Path, config: Path) -> None:
    (tmp_path / "gate").touch()
    with (tmp_path / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        process = user.start_run(config, "--editor-models", "out/checkpoint-1000", "out/checkpoint-1100")
        wait_until(lambda: begun(user), seconds=TIMEOUT)
        process.send_signal(signal.SIGINT)
    result = finished(process)

    assert result.code == 130, result.output
    sweep = sweep_file(user)
    assert [entry["code"] for entry in sweep["checkpoints"]] == [130, None]
    assert "WAITING" in result.output
    assert f"--editor-models out/checkpoint-1000 out/checkpoint-1100 --resume {sweep['sweep']}" in result.output
    assert user.left_over() == []


@pytest.mark.slow
def test_a_sweep_over_folders_that_are_no_models_loads_nothing_and_says_so(
    user: User, tmp_path: Path, tiny_editor_path: Path, tiny_reward_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    config = real(user, small_benchmark(tmp_path / "data.json", pairs=1), (tiny_editor_path, tiny_reward_path))
    result = user.check_config(config, "--editor-models", "a", "./b")
    assert result.code == 2, result.output
    assert "holds no model_index.json" in result.output
    assert "does not exist" in result.output
    assert result.output.count("NOT LOADED") == 2
    assert not (user.output / "runs").exists()

    dry = user.check_config(config, "--editor-models", "a", tiny_editor_path, "--dry-run")
    assert dry.code == 3, dry.output
    assert "2 checkpoints, 0 finished, 1 to be evaluated, 1 that can't be loaded" in dry.output
    before = sorted(user.output.glob("sweeps/*"))
    assert user.check_config(config, "--editor-models", "nothing-*").code == 2
    refused = user.check_config(config, "--editor-models", tiny_editor_path, "--no-launch")
    assert refused.code == 2, refused.output
    assert "is not up, and --no-launch was given" in refused.output
    assert sorted(user.output.glob("sweeps/*")) == before, "nothing was run, and nothing is left"
    both = user.check_config(config, "--editor-models", "a", "--editor-model", "b")
    assert both.code == 2
    assert "not allowed with argument" in both.output
