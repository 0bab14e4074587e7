"""What the tests need once per checkout: ``python -m tests.set_up``, part of ``make setup`` and ``make test``.

Whoever finds something missing or out of date makes it, under a lock: the processes of a test session share it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.tiny_models import catalog

ROOT = Path(__file__).resolve().parents[1]
TINY_MODELS = ROOT / "outputs" / "tiny-models"
REWARD_ENVIRONMENT = ROOT / ".venv" / "tests" / "reward env"
"""What ``scripts/setup_reward_env.sh`` makes, in a path that needs quoting. ``make clean`` keeps it, like ``.venv``."""

MODELS = {
    **catalog.MODELS,
    "editor-other": dataclasses.replace(catalog.MODELS["editor"], builder="tests.set_up.build_other_editor"),
    "reward-recorded": dataclasses.replace(catalog.MODELS["reward"], builder="tests.set_up.build_recorded_reward"),
}
_SOURCES = [ROOT / name for name in ("pyproject.toml", "constraints-reward.txt", "scripts/setup_reward_env.sh")]


def tiny_model(name: str) -> Path:
    """The folder with this tiny model; it is built if it is missing or out of date."""
    folder = TINY_MODELS / name
    with _locked(TINY_MODELS):
        if not MODELS[name].is_current(folder):
            MODELS[name].build(folder)
    return folder


def build_other_editor(folder: Path) -> None:
    """The tiny editor with other weights."""
    from scripts.tiny_models.editor import build_editor

    build_editor(folder, seed=1)


def build_recorded_reward(folder: Path) -> None:
    """The tiny reward that the recorded runs have: digits are as likely as anything else."""
    from scripts.tiny_models.reward import build_reward

    build_reward(folder, numbers_first=False)


def reward_environment() -> Path:
    """The Python of an environment with the reward's own versions; it is installed if it is missing or out of date."""
    python, stamp = REWARD_ENVIRONMENT / "bin" / "python", REWARD_ENVIRONMENT / "warmbench-installed"
    with _locked(REWARD_ENVIRONMENT.parent):
        newest = max(source.stat().st_mtime for source in _SOURCES)
        if not stamp.exists() or stamp.stat().st_mtime < newest:
            script = ROOT / "scripts" / "setup_reward_env.sh"
            subprocess.run([script, "--venv", REWARD_ENVIRONMENT, "--python", sys.executable], check=True, timeout=1200)
            stamp.touch()
    return python


def isolated_reward_model() -> Path:
    """A tiny reward model, built by the libraries of the reward's own environment."""
    python, models = reward_environment(), REWARD_ENVIRONMENT / "models"
    command = [str(python), "-m", "scripts.tiny_models", str(models), "--only", "reward"]
    with _locked(REWARD_ENVIRONMENT.parent):
        subprocess.run(command, cwd=ROOT, check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return models / "reward"


def quantization_packages() -> Path:
    """A folder with torchao, for ``PYTHONPATH``: beside it every import of diffusers takes two seconds longer."""
    folder = ROOT / ".venv" / "tests" / "quantization"
    with _locked(folder.parent):
        if not (folder / "torchao").is_dir():
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                str(folder),
                "torchao",
            ]
            subprocess.run([*command, "--constraint", str(ROOT / "constraints.txt")], check=True, timeout=600)
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process at a time is in the block; the lock ends with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for model in MODELS:
        tiny_model(model)
    isolated_reward_model()
    quantization_packages()
