"""The driver of a machine against the builds of torch."""

from __future__ import annotations

import sys
from pathlib import Path

import pynvml
import pytest

from scheduler.base.nvml import Driver
from scheduler.config.checks import environment as environment_checks
from scheduler.config.checks import worker_environment
from scheduler.config.checks.driver import TorchBuild, installed_torch, outdated_driver, read_build
from scheduler.config.checks.environment import Environment
from scheduler.config.layout import Gpu
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from tests.fake_nvml import show_gpus

CUDA_13 = TorchBuild("2.13.0", "13.0")

TYPED = """from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']
__version__ = '2.13.0+cu130'
debug = False
cuda: Optional[str] = '13.0'
hip: Optional[str] = None
"""


@pytest.mark.parametrize(
    ("text", "build"),
    [
        (TYPED, TorchBuild("2.13.0+cu130", "13.0")),
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", TorchBuild("2.13.0+cpu", None)),
        ("__version__ = '2.6.0'\ncuda = '12.4'\n", TorchBuild("2.6.0", "12.4")),
        ("def broken(:\n", None),
        ("", None),
    ],
)
def test_the_build_is_what_its_version_file_says(text: str, build: TorchBuild | None) -> None:
    assert read_build(text) == build


@pytest.mark.slow
def test_the_torch_of_this_environment_is_the_one_that_it_says_itself() -> None:
    import torch

    assert installed_torch() == TorchBuild(torch.__version__, torch.version.cuda)


@pytest.mark.parametrize(
    ("version", "cuda", "runs"),
    [
        ("535.104.05", (12, 2), False),
        ("580.65.06", (13, 0), True),
        ("590.10", (13, 1), True),
        ("610.00", (14, 0), True),
        ("535.104.05", (13, 0), True),  # CUDA's compatibility package
        ("535.104.05", None, False),
        ("580.65.06", None, True),
    ],
)
def test_a_driver_runs_builds_up_to_its_own_cuda(version: str, cuda: tuple[int, int] | None, runs: bool) -> None:
    assert (outdated_driver(CUDA_13, Driver(version, cuda)) is None) == runs
    assert outdated_driver(TorchBuild("2.13.0+cpu", None), Driver(version, cuda)) is None


def test_an_older_minor_version_is_enough() -> None:
    assert outdated_driver(TorchBuild("2.8.0", "12.9"), Driver("535.104.05", (12, 2))) is None


def test_the_check_of_a_config_says_what_is_too_old_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_gpus(monkeypatch, 1)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "535.104.05")
    monkeypatch.setattr(pynvml, "nvmlSystemGetCudaDriverVersion", lambda: 12020)
    monkeypatch.setattr(environment_checks, "installed_torch", lambda: CUDA_13)
    path = tmp_path / "c.yaml"
    path.write_text("diffusion_model: {type: qwen_image_edit, params: {model_name: /nothing}}")
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment=Environment(gpus=(Gpu(0, "a GPU", 80 << 30),), data=False, stages=("edit",)))
    assert (
        "  diffusion_model.params.device: torch 2.13.0 is built for CUDA 13.0, which needs NVIDIA driver 580.65.06 or "
        "newer; this machine has driver 535.104.05 (CUDA 12.2) (line 1)\n"
        "      update the driver, or install torch for CUDA 12: `make setup TORCH_INDEX=URL` (docs/troubleshooting.md)"
    ) in str(caught.value)


def test_the_torch_of_another_environment_is_checked_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python is this one, whose torch is said to be another build."""
    show_gpus(monkeypatch, 1)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "535.104.05")
    monkeypatch.setattr(pynvml, "nvmlSystemGetCudaDriverVersion", lambda: 12020)
    monkeypatch.setattr(worker_environment, "read_build", lambda text: CUDA_13 if "__version__" in text else None)
    path = tmp_path / "c.yaml"
    path.write_text(f"reward_model: {{type: qwen3_vl, params: {{model_name: /nothing, python: {sys.executable}}}}}")
    problems = worker_environment.worker_environment_problems("reward_model", load_config(path).reward_model)
    expected = (
        f"the environment of {sys.executable}: torch 2.13.0 is built for CUDA 13.0, which needs NVIDIA driver "
        "580.65.06 or newer; this machine has driver 535.104.05 (CUDA 12.2)"
    )
    assert [problem.message for problem in problems] == [expected]
