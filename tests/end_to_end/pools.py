"""What tests of warm pools look at: the pool's folder, its processes, how a command ended."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from protocol.pool import read_worker_cards
from tests.harness import TIMEOUT, Result, User

GATED = """
import fcntl
from workers.interface import Editor, Judgement, Reward, Scores
class _Gated:
    def load(self, residency):
        with open("gate") as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)
class GatedEditor(_Gated, Editor):
    def edit(self, request, progress):
        return request.image
class GatedReward(_Gated, Reward):
    def score(self, requests, parameters, progress):
        return Scores([Judgement(score=5.0) for request in requests])
"""
"""Models that are loaded once nobody holds the gate."""


@contextlib.contextmanager
def gate_closed(user: User) -> Iterator[None]:
    """No model of ``gated`` is loaded within the block."""
    with (user.folder / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def gated(user: User, data: Path, **reward: object) -> Path:
    """A config with two editors and a reward that wait for the gate; ``reward`` are parameters."""
    (user.folder / "mine.py").write_text(GATED)
    return user.config(
        benchmark={"data_path": str(data)},
        diffusion_model={"class_path": "mine.GatedEditor", "params": {"device_ids": ["cpu", "cpu"]}},
        reward_model={"class_path": "mine.GatedReward", "params": {"device": "cpu", **reward}},
    )


def is_logged(user: User, text: str) -> bool:
    """Whether a run has logged this."""
    return any(text in log.read_text(encoding="utf-8") for log in user.output.glob("logs/*.log"))


def is_planned(user: User) -> bool:
    """Whether a run that edits has its plan on disk."""
    return is_logged(user, "Synchronization")


def pool_folder(user: User, config: Path) -> Path:
    return user.home / config.stem


def pids(user: User, config: Path) -> dict[str, int]:
    """Each worker's pid, by its card."""
    return {card.worker_id: card.pid for card in read_worker_cards(pool_folder(user, config))}


def finished(process: subprocess.Popen[str]) -> Result:
    with process:
        output, _ = process.communicate(timeout=TIMEOUT)
    return Result(process.returncode, output)
