"""A watch that is begun again, refused, or ended: what it does again, and what it leaves."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.pools import finished
from tests.harness import TIMEOUT, Result, User, small_benchmark
from tests.waiting import wait_until

QUICK = ("--settle", "0", "--broken-after", "0", "--poll", "0.1")


def checkpoint(folder: Path, content: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(content, encoding="utf-8")
    return folder


def entries(user: User) -> dict[str, dict[str, Any]]:
    (file,) = (user.output / "watches").glob("*/watch.json")
    return {entry["path"]: entry for entry in json.loads(file.read_text(encoding="utf-8"))["checkpoints"]}


def once(user: User, config: Path, *arguments: str) -> Result:
    return user.run("watch", "out", "--config", config, *user.pool_options, *QUICK, "--once", *arguments)


@pytest.mark.slow
@pytest.mark.warm
def test_only_what_is_new_changed_or_to_be_evaluated_otherwise_is_evaluated(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    for step in (1, 2, 3):
        checkpoint(tmp_path / "out" / f"step-{step}")
    (tmp_path / "out" / "step-3" / "model.safetensors").write_bytes(b"no weights")

    first = once(user, config, "--name", "run {step}", "--fail-if-worse", "0")
    assert first.code == 3, first.output
    before = entries(user)
    assert {path: entry["code"] for path, entry in before.items()} == {"step-1": 0, "step-2": 0, "step-3": 2}
    assert "step-3 is broken, and passed over: model.safetensors has" in first.output
    assert "run 2 against run 1 (previous): not shown to be worse" in first.output

    checkpoint(tmp_path / "out" / "step-1", "other content")
    shutil.rmtree(user.output / "runs" / before["step-2"]["run"])
    second = once(user, config)
    after = entries(user)
    assert second.code == 3, second.output
    assert "step-3 is broken, and passed over" not in second.output, "that was reported"
    assert [after[path]["run"] == before[path]["run"] for path in ("step-1", "step-2")] == [False, False]
    assert (user.output / "runs" / before["step-1"]["run"]).is_dir(), "the run of the old content stays"

    third = once(user, config, "--limit", "1", "--until", "1")
    assert third.code == 0, third.output
    assert re.search(r"Taken over from .*: 2 edits, 2 scores", third.output), "what is still valid"
    assert "An earlier watch evaluated 3 checkpoints with other settings" in third.output
    assert entries(user).keys() == {"step-1"}
    fourth = once(user, config)
    assert "Checkpoint out/" not in fourth.output, "what was evaluated with these settings is known again"
    assert entries(user) == after


@pytest.mark.slow
def test_a_second_watch_is_refused_and_sigterm_ends_the_first_with_its_pool(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    checkpoint(tmp_path / "out" / "step-1")
    first = user.start("watch", "out", "--config", config, *QUICK)
    wait_until(lambda: list(user.output.glob("watches/*/series.json")), seconds=TIMEOUT)

    second = user.check("watch", "out", "--config", config, *QUICK)
    assert second.code == 2
    assert f"another process watches {tmp_path / 'out'} already" in second.output
    assert len(user.processes()) > 2, "the pool stays up while the watch waits"

    first.send_signal(signal.SIGTERM)
    result = finished(first)
    assert result.code == 130, result.output
    assert "out/step-1" in result.output[result.output.index("Title") :]
    assert f"-m scheduler watch out --config {config}" in result.output[result.output.index("To go on") :]
    assert user.left_over() == []


@pytest.mark.slow
@pytest.mark.warm
def test_a_config_that_changes_in_between_ends_the_watch_instead_of_mixing_runs(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=1)
    config = user.simulated(data)
    checkpoint(tmp_path / "out" / "step-1")
    process = user.start("watch", "out", "--config", config, *user.pool_options, *QUICK)
    wait_until(lambda: list(user.output.glob("watches/*/series.json")), seconds=TIMEOUT)
    assert user.simulated(data, editor={"seed": 7}) == config
    checkpoint(tmp_path / "out" / "step-2")
    result = finished(process)
    assert result.code == 1, result.output
    assert f"{config} has changed since the watch began" in result.output
    assert entries(user).keys() == {"step-1"}


def test_what_can_never_be_evaluated_is_refused_before_anything_is_waited_for(user: User, tmp_path: Path) -> None:
    config = user.simulated(tmp_path / "missing.json")
    refused = user.check("watch", "out", "--config", config)
    assert refused.code == 2
    assert "benchmark.data_path" in refused.output

    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    assert "there is no folder out" in user.check("watch", "out", "--config", config, "--once").output
    checkpoint(tmp_path / "out" / "step-1")
    dry = user.check("watch", "out", "--config", config, "--settle", "0", "--dry-run")
    assert dry.code == 0, dry.output
    assert "1 checkpoint in out, 1 complete" in dry.output
    assert not user.output.exists(), "a dry run leaves nothing"
