"""A run in a real terminal: a screen that lives, and lines above it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.harness import User, small_benchmark

_CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


def in_terminal(user: User, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    """The exit code, and all that went to a terminal of 80x24."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    inherited = {name: value for name, value in user.environment.items() if name not in ("CI", "NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler", *map(str, arguments)],
        cwd=user.folder,
        env={**inherited, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # what a terminal says when the last process has left it
        while part := os.read(mine, 65536):
            written += part
    os.close(mine)
    return process.wait(timeout=60), written.decode()


@pytest.mark.slow
def test_it_shows_what_each_worker_does_and_the_results_so_far(user: User, tmp_path: Path) -> None:
    editor = {"latency_ms": 500, "load_seconds": 0.6, "faults": {"oom": ["物理/3"]}}
    data = small_benchmark(tmp_path / "data.json")
    config = user.simulated(data, editor=editor, scheduler={"heartbeat_seconds": 0.1})
    code, written = in_terminal(user, "run", "--config", config)
    assert code == 3
    # Each picture begins where the one before it was wiped out.
    pictures = [_CONTROL.sub("", part) for part in written.split("\x1b[2K") if "─" * 80 in part]
    assert len(pictures) >= 5
    everything = "\n".join(pictures)
    for wanted in (
        r"waiting for the workers",
        r"editor-0  cpu  loading",
        r"[01] of 2 editors at the barrier",
        r"editor-[01]  cpu  editing +(物理|spatial)/\d .* \d+/\d+  \d\.\ds",
        r"1 failed, last: 物理/3 \(edit, oom: ",
        r"物理 +n=\d  \d\.\d\d",
        r"Overall +n=\d  \d\.\d\d",
    ):
        assert re.search(wanted, everything), f"{wanted} is nowhere in\n{everything[-3000:]}"
    assert "Round 1/" in _CONTROL.sub("", written), "the log's lines are above"
    assert "\x1b[32m" in written

    again, plain = in_terminal(user, "run", "--config", config, NO_COLOR="1")
    assert again == 3
    assert "editors at the barrier" in plain, "without colours it lives all the same"
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)
    parts = r"loading \d+ s, edits \d+ s on 2 editors, scores \d+ s on 1 reward"
    estimate = rf"Estimated: about \d+ s \({parts}\), from 1 earlier run"
    assert re.search(estimate, " ".join(_CONTROL.sub("", plain).split()))


@pytest.mark.slow
def test_a_run_whose_terminal_goes_away_ends_normally(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2), editor={"latency_ms": 300})
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler", "run", "--config", str(config)],
        cwd=user.folder,
        env={**user.environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    assert os.read(mine, 1), "it has begun to tell of itself"
    os.close(mine)
    assert process.wait(timeout=60) == 0
    assert user.report()["status"] == "COMPLETE"


@pytest.mark.slow
def test_a_run_whose_output_is_closed_ends_normally(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2), editor={"latency_ms": 300})
    with user.start("run", "--config", config) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
    assert user.report()["status"] == "COMPLETE"
