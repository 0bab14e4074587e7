"""What the guard of a server knows of the server's processes."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from workers.models.served import guard


def test_a_process_that_ends_while_it_is_looked_at_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ending, staying = (subprocess.Popen(["sleep", "300"]) for _ in range(2))
    status = psutil.Process.status

    def ends_before(process: psutil.Process) -> str:
        if process.pid == ending.pid:
            ending.kill()
            ending.wait()
        return str(status(process))

    monkeypatch.setattr(psutil.Process, "status", ends_before)
    try:
        lives = {process.pid for process in guard._descendants()}
    finally:
        for process in (ending, staying):
            process.kill()
            process.wait()
    assert staying.pid in lives
    assert ending.pid not in lives
