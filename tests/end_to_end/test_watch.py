"""``warmbench watch`` beside a training: the right checkpoints, in order, on the same processes, whatever happens."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.pools import pids
from tests.harness import TIMEOUT, User, small_benchmark
from tests.set_up import ROOT
from tests.waiting import wait_until

SMALL = {"height": 128, "width": 160, "num_inference_steps": 2}
KILLED_AFTER = (1, 3, 6, 9, 13)
"""How many edits are in the ledgers each time that the watch is killed."""


def watch_file(user: User) -> dict[str, dict[str, Any]]:
    """The entries of ``watch.json`` by their path; empty if there is none."""
    files = list((user.output / "watches").glob("*/watch.json"))
    content = json.loads(files[0].read_text(encoding="utf-8")) if files else {"checkpoints": []}
    return {entry["path"]: entry for entry in content["checkpoints"]}


def rows(user: User, event: str, run: str = "*") -> list[dict[str, Any]]:
    ledgers = sorted((user.output / "runs").glob(f"{run}/results.jsonl"))
    lines = [line for ledger in ledgers for line in ledger.read_text(encoding="utf-8").splitlines(keepends=True)]
    return [row for row in (json.loads(line) for line in lines if line.endswith("\n")) if row["event"] == event]


class Watching:
    """A watch that writes its output to a file, so that it is never blocked; it can be killed and begun again."""

    def __init__(self, user: User, *arguments: str | Path) -> None:
        self._user = user
        self._arguments = arguments
        self.output = ""
        self._process = user.start("watch", *arguments)
        self._reader = self._read()

    def _read(self) -> threading.Thread:
        def read(process: subprocess.Popen[str]) -> None:
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    self.output += line

        thread = threading.Thread(target=read, args=(self._process,), daemon=True)
        thread.start()
        return thread

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill_and_begin_again(self) -> None:
        self._process.kill()
        self.end()
        self._process = self._user.start("watch", *self._arguments)
        self._reader = self._read()

    def end(self) -> int:
        """Wait for its end, and return its exit code."""
        code = self._process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return code


@contextlib.contextmanager
def training(model: Path, out: Path, *, pause: float, half: float) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [str(model), str(out), str(pause), str(half)]
    command = [sys.executable, "-m", "tests.end_to_end.played_training", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_training_is_evaluated_checkpoint_by_checkpoint_and_five_kills_change_nothing(
    user: User, tmp_path: Path, tiny_editor_path: Path
) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2))
    sections = yaml.safe_load(config.read_text(encoding="utf-8"))
    sections["diffusion_model"] = {
        "type": "qwen_image_edit",
        "params": {
            "model_name": str(tiny_editor_path),
            "device": "cpu",
            "dtype": "float32",
            **SMALL,
        },
    }
    config = user.config(**sections)
    options = ("--until", "600", "--settle", "1", "--broken-after", "8", "--poll", "0.2", "--keep-warm")
    watching = Watching(user, "out", "--config", config, *options)
    wait_until(lambda: "Waiting for out, which does not exist yet" in watching.output, seconds=TIMEOUT)
    with training(tiny_editor_path, tmp_path / "out", pause=0.5, half=2.0):
        wait_until(lambda: rows(user, "edited"), seconds=TIMEOUT)
        processes = pids(user, config)
        for edits in KILLED_AFTER:
            wait_until(lambda least=edits: len(rows(user, "edited")) >= least, seconds=TIMEOUT)  # type: ignore[misc]
            watching.kill_and_begin_again()
        code = watching.end()
    output = watching.output

    assert code == 3, output
    entries = watch_file(user)
    codes = {path: entry["code"] for path, entry in entries.items()}
    assert codes == {"step_100": 0, "step_200": 0, "step_300": 2, "step_400": 0, "step_600": 0}, output
    assert "has a header that can't be read" in entries["step_300"]["reason"]
    assert output.count("step_300 is broken, and passed over") == 1
    runs = [entry["run"] for entry in entries.values() if entry["run"]]
    assert sorted((user.output / "runs").glob("2*")) == [user.output / "runs" / run for run in runs], "in order"
    for event in ("planned", "edited", "scored"):
        done = Counter((row["category"], row["pair_id"]) for row in rows(user, event))
        assert [*done.values()] == [4] * 4, f"{event}: nothing twice, nothing missing"
    assert len({row["sha256"] for run in runs for row in rows(user, "edited", run)}) == 16, "four checkpoints"
    assert pids(user, config) == processes
    (series,) = (user.output / "watches").glob("*/series.json")
    assert [run["step"] for run in json.loads(series.read_text(encoding="utf-8"))["runs"]] == [100, 200, 400, 600]
    assert user.run("workers", "stop", "--config", config).code == 0
