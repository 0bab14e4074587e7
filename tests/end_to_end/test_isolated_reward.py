"""The reward in an environment of its own: one that is really installed, one behind conda, and some that won't do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from scripts.tiny_models.tokenizer import CHAT_TEMPLATE
from tests.harness import User, small_benchmark
from tests.set_up import ROOT, isolated_reward_model, reward_environment

SCRIPT = ROOT / "scripts" / "setup_reward_env.sh"
NAME = "warmbench_test_env"

PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints-reward.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
)


def isolated(user: User, folder: Path, reward: Mapping[str, Any], editor: Mapping[str, Any] | None = None) -> Path:
    """A config with two editors of the main environment, by default the quickest, and this reward."""
    return user.config(
        benchmark={"data_path": str(small_benchmark(folder / "data.json", pairs=2))},
        diffusion_model=editor or {"type": "identity", "params": {"device_ids": ["cpu", "cpu"]}},
        reward_model={
            "type": "qwen3_vl_subprocess",
            "params": {"device": "cpu", "dtype": "float32", "scoring": "logits", "max_pixels": 12544, **reward},
        },
    )


def tiny_editor(model: Path) -> dict[str, Any]:
    params = {"dtype": "float32", "num_inference_steps": 2, "height": 128, "width": 160, "device_ids": ["cpu"]}
    return {"type": "multi_gpu_qwen_image_edit", "params": {"model_name": str(model), **params}}


def set_up(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd="/",
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def stand_in_conda(folder: Path, python: Path) -> tuple[dict[str, str], Path]:
    """A ``conda`` that knows one environment, once it was created: that of ``python``.

    Returns the variables that put it on the PATH, and the file with the arguments of each call, a line each. As the
    real one, it stays above the program that it runs.
    """
    calls = folder / "calls.txt"
    program = folder / "bin" / "conda"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
printf '%s\\n' "$*" >>'{calls}'
if [ "$1" = create ]; then touch '{folder}/created'; exit; fi
if [ "$4" != {NAME} ] || [ ! -e '{folder}/created' ]; then
  echo "EnvironmentLocationNotFound: Not a conda environment: /opt/none/envs/$4" >&2
  exit 1
fi
shift 5
'{python}' "$@"
exit $?
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    # No other conda of the machine that this runs on is to be found.
    unset = dict.fromkeys(("CONDA_EXE", "CONDA_PREFIX", "CONDA_ENVS_PATH", "CONDA_ENVS_DIRS", "MAMBA_ROOT_PREFIX"), "")
    return {**unset, "PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(folder)}, calls


@pytest.fixture(scope="session")
def reward_python() -> Path:
    """The Python of an environment that the script has really installed."""
    return reward_environment()


@pytest.mark.slow
def test_editors_and_a_reward_behind_conda_work_together_with_different_versions_of_transformers(
    user: User, tmp_path: Path, tiny_editor_path: Path, reward_python: Path
) -> None:
    environment, calls = stand_in_conda(tmp_path, reward_python)
    (tmp_path / "created").touch()
    user.environment |= environment
    reward = {"conda_env": NAME, "model_name": str(isolated_reward_model())}
    result = user.run_config(isolated(user, tmp_path, reward, tiny_editor(tiny_editor_path)))

    assert result.code == 0, result.output
    report = user.report()
    assert report["status"] == "COMPLETE"
    assert report["summary"]["total_pairs"] == 4
    of = {worker["worker_id"]: worker["versions"] for worker in report["provenance"]["workers"]}
    ours, theirs = metadata.version("transformers"), PINNED["transformers"]
    assert of["editor-0"]["transformers"] == ours
    assert of["reward-0"]["transformers"] == theirs
    assert {"python", "torch", "pyzmq", "msgpack"} <= set(of["reward-0"])
    differences = report["provenance"]["version_differences"]
    assert differences["transformers"] == {"editor": ours, "reward": theirs}
    assert "pyzmq" not in differences, "what is the same everywhere is no difference"
    checked, started = calls.read_text(encoding="utf-8").splitlines()
    python = f"run --no-capture-output -n {NAME} python -s"
    assert checked.startswith(f"{python} /")
    assert started.startswith(f"{python} -m workers worker --worker-id reward-0 --role reward --device cpu ")
    assert user.left_over() == []


@pytest.mark.slow
def test_setting_up_an_up_to_date_environment_changes_nothing(reward_python: Path) -> None:
    stamp = reward_python.parents[1] / "warmbench-installed"
    before = stamp.stat().st_mtime_ns
    again = set_up("--venv", reward_python.parents[1])

    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("Up to date: Python ")
    assert f"    python: {reward_python}" in again.stdout.splitlines()
    assert stamp.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_conda_environment_is_created_once_and_used_by_name(tmp_path: Path, reward_python: Path) -> None:
    environment, calls = stand_in_conda(tmp_path, reward_python)
    for _ in range(2):
        done = set_up("--conda", NAME, "--python", "3.12", environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"    conda_env: {NAME}" in done.stdout.splitlines()

    created = [line for line in calls.read_text(encoding="utf-8").splitlines() if line.startswith("create")]
    assert created == [f"create --yes --quiet --name {NAME} python=3.12 pip"]


@pytest.mark.slow
def test_a_missing_conda_environment_is_reported_before_anything_starts(
    user: User, tmp_path: Path, tiny_reward_path: Path
) -> None:
    environment, calls = stand_in_conda(tmp_path, Path(sys.executable))
    user.environment |= environment
    config = isolated(user, tmp_path, {"conda_env": NAME, "model_name": str(tiny_reward_path)})
    fix = f"run `scripts/setup_reward_env.sh --conda {NAME}`"
    for conda in ("with conda", "without conda"):
        for arguments in (["--dry-run"], []):
            result = user.run_config(config, *arguments)
            assert result.code == 2, f"{conda}: {result.output}"
            assert f"reward_model.params.conda_env: there is no conda environment {NAME} (line " in result.output
            assert fix in result.output
        (tmp_path / "bin" / "conda").unlink(missing_ok=True)

    assert len(calls.read_text(encoding="utf-8").splitlines()) == 2, "conda was asked as long as there was one"
    assert list(user.home.iterdir()) == []


@pytest.mark.slow
def test_a_python_without_our_package_is_reported_with_all_that_it_lacks(
    user: User, tmp_path: Path, tiny_reward_path: Path
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    config = isolated(user, tmp_path, {"python": f"{bare}/bin/python", "model_name": str(tiny_reward_path)})
    result = user.run_config(config, "--dry-run")

    assert result.code == 2, result.output
    where = f"the environment of {bare}/bin/python"
    assert f"reward_model.params.python: warmbench is not installed in {where} (line " in result.output
    base = "msgpack, msgspec, pyzmq (imported as zmq), psutil, setproctitle"
    extra = "pillow (imported as PIL), numpy, torch, transformers, accelerate"
    assert f"{where} lacks {base}, {extra} (line " in result.output
    assert result.output.count(f"run `scripts/setup_reward_env.sh --venv {bare}`") == 2
    assert user.run_config(config).code == 2
    assert list(user.home.iterdir()) == []


@pytest.mark.slow
def test_a_model_that_turns_out_to_think_once_it_is_loaded_ends_a_run_by_logits_before_anything_is_scored(
    user: User, tmp_path: Path, tiny_reward_path: Path
) -> None:
    """The template comes with the download, which the worker makes: here, with a Python that writes it first."""
    model = shutil.copytree(tiny_reward_path, tmp_path / "model")
    thinking = tmp_path / "thinking.jinja"
    thinking.write_text(CHAT_TEMPLATE.replace("assistant\n", "assistant\n<think>\n"), encoding="utf-8")
    python = tmp_path / "an env" / "python"
    python.parent.mkdir()
    python.write_text(
        f"#!/bin/sh\ncase \"$*\" in *'workers worker'*) cp '{thinking}' '{model}/chat_template.jinja' ;; esac\n"
        f"exec '{sys.executable}' \"$@\"\n",
        encoding="utf-8",
    )
    python.chmod(0o755)
    result = user.run_config(isolated(user, tmp_path, {"python": str(python), "model_name": str(model)}))

    assert result.code == 1, result.output
    assert (
        "Aborted: reward_model.params.scoring: logits reads how an answer begins, and answers of this" in result.output
    )
    assert user.rows("scored") == []
    assert user.left_over() == []
    again = user.run_config(isolated(user, tmp_path, {"python": str(python), "model_name": str(model)}))
    assert again.code == 2, again.output
    assert "reward_model.params.scoring: logits reads how an answer begins" in again.output
