"""A worker that an engine starts long after its launcher has gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from protocol.keys import PoolKeys
from workers.joining import EXIT_REFUSED


def test_a_worker_that_a_placer_has_started_gives_up_when_its_launcher_is_gone(tmp_path: Path) -> None:
    keys = PoolKeys(tmp_path)
    keys.launcher_pair()
    command = [sys.executable, "-m", "workers", "join", "tcp://127.0.0.1:9", "--key", str(keys.join_key)]
    ended = subprocess.run(
        [*command, "--role", "editor", "--give-up-after", "0.1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == EXIT_REFUSED
    assert "tcp://127.0.0.1:9 did not answer for 0.1 s" in ended.stderr
