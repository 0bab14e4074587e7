"""What tests of warm pools look at: the pool's folder, its processes, how a command ended."""

from __future__ import annotations

import subprocess
from pathlib import Path

from protocol.pool import read_worker_cards
from tests.harness import TIMEOUT, Result, User


def pool_folder(user: User, config: Path) -> Path:
    return user.home / config.stem


def pids(user: User, config: Path) -> dict[str, int]:
    """Each worker's pid, by its card."""
    return {card.worker_id: card.pid for card in read_worker_cards(pool_folder(user, config))}


def finished(process: subprocess.Popen[str]) -> Result:
    with process:
        output, _ = process.communicate(timeout=TIMEOUT)
    return Result(process.returncode, output)
