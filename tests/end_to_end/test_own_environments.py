"""An editor and a class of the user's own in an environment of their own: they really run in its Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.pools import pids
from tests.harness import User, small_benchmark

SOURCE = """
import sys

from protocol.messages import Judgement
from workers.interface import Editor, Reward, Scores


class TellsItsPython:
    def load(self, residency):
        pass

    def versions(self):
        return {"prefix": sys.prefix}


class Unchanged(TellsItsPython, Editor):
    def edit(self, request, progress):
        return request.image


class Seven(TellsItsPython, Reward):
    def score(self, requests, parameters, progress):
        return Scores([Judgement(aspect=request.prompt.aspect, score=7.0) for request in requests])
"""


@pytest.fixture
def other_environment(tmp_path: Path) -> Path:
    """A virtual environment that has the packages of this one."""
    folder = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/*/site-packages")
    (site / "ours.pth").write_text("\n".join(path for path in sys.path if path), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_a_users_own_editor_and_reward_run_in_the_python_that_the_config_names(
    user: User, tmp_path: Path, other_environment: Path
) -> None:
    (tmp_path / "elsewhere.py").write_text(SOURCE, encoding="utf-8")
    python = str(other_environment / "bin" / "python")
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=2))},
        diffusion_model={"class_path": "elsewhere.Unchanged", "params": {"device": "cpu", "python": python}},
        reward_model={"class_path": "elsewhere.Seven", "params": {"device": "cpu", "python": python}},
    )
    result = user.run_config(config)

    assert result.code == 0, result.output
    report = user.report()
    assert report["summary"]["overall_mean"] == 7
    prefixes = {worker["role"]: worker["versions"]["prefix"] for worker in report["provenance"]["workers"]}
    assert prefixes == {"editor": str(other_environment), "reward": str(other_environment)}
    assert user.left_over() == []


@pytest.mark.slow
def test_a_class_that_the_environment_lacks_is_reported_before_anything_starts(
    user: User, tmp_path: Path, other_environment: Path
) -> None:
    python = str(other_environment / "bin" / "python")
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=1))},
        diffusion_model={"class_path": "no_such_package.Unchanged", "params": {"device": "cpu", "python": python}},
        reward_model={"type": "simulated"},
    )
    result = user.run_config(config)

    assert result.code == 2, result.output
    assert f"diffusion_model.params.python: the environment of {python} lacks no_such_package" in result.output


@pytest.mark.slow
def test_what_a_pool_was_launched_with_is_applied_anew_or_refused_but_never_ignored(
    user: User, tmp_path: Path, other_environment: Path
) -> None:
    (tmp_path / "elsewhere.py").write_text(SOURCE, encoding="utf-8")
    data = small_benchmark(tmp_path / "data.json", pairs=2)

    def config(params: dict[str, object], **scheduler: float) -> Path:
        return user.config(
            benchmark={"data_path": str(data)},
            diffusion_model={"class_path": "elsewhere.Unchanged", "params": {"device": "cpu"}},
            reward_model={"class_path": "elsewhere.Seven", "params": {"device": "cpu", **params}},
            scheduler=scheduler,
        )

    assert user.run_config(config({}), "--keep-warm").code == 0
    before = pids(user, config({}))
    python = str(other_environment / "bin" / "python")
    result = user.run_config(config({"python": python}), "--keep-warm")
    assert result.code == 0, result.output
    assert f"reward-0: starting it anew for this run: Python from '{sys.executable}' to '{python}'" in result.output
    versions = {worker["role"]: worker["versions"]["prefix"] for worker in user.report()["provenance"]["workers"]}
    assert versions == {"editor": sys.prefix, "reward": str(other_environment)}
    after = pids(user, config({}))
    assert after["editor-0"] == before["editor-0"], "only the reward was asked for otherwise"
    assert after["reward-0"] != before["reward-0"]

    runs = len(list((user.output / "runs").iterdir()))
    slow = config({"python": python}, job_timeout_seconds=900)
    for command in (
        ("run", "--config", slow),
        ("run", "--dry-run", "--config", slow),
        ("workers", "start", "--config", slow),
    ):
        refused = user.run(*command)
        assert refused.code == 2, refused.output
        assert "scheduler.job_timeout_seconds from 600 to 900" in refused.output
        assert f"warmbench workers stop --config {slow} --pool bench" in refused.output
    assert len(list((user.output / "runs").iterdir())) == runs, "nothing was run"
    assert user.check("workers", "stop", "--config", slow).code == 0
    assert user.run_config(slow).code == 0
    assert user.left_over() == []
